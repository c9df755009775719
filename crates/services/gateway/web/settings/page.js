/**
 * The settings: the company and its messages number, senders whom nobody knows, calls.
 *
 * @module settings/page
 */

import { h, replace } from "../dom.js";
import { formatInteger } from "../format.js";
import { tabs } from "../tabs.js";
import { callList } from "./calls.js";
import { companySection } from "./company.js";
import { numberSection } from "./number.js";
import { quietHoursSection } from "./quiet-hours.js";
import { senders } from "./senders.js";

/**
 * @typedef {object} Context
 * @property {import("../store.js").Store} store
 * @property {(hash: string) => void} navigate
 */

/**
 * @param {HTMLElement} root
 * @param {Context} context
 * @returns {{ show(params?: unknown): void, unmount(): void }}
 */
export function mount(root, context) {
  const { store } = context;
  const closing = new AbortController();
  const { signal } = closing;
  const unknown = senders(context, signal);
  const calls = callList(context, signal);
  const pages = tabs(
    "Settings",
    [
      { id: "company", label: "Company Information", content: companyPage(context, signal) },
      { id: "senders", label: "Unknown Senders", content: unknown.element },
      { id: "calls", label: "Calls", content: calls.element },
    ],
    (id) => {
      if (id === "senders") unknown.show();
      if (id === "calls") calls.show();
    },
  );
  const showCount = () => {
    const count = store.unmatched ?? 0;
    pages.rename("senders", count > 0 ? `Unknown Senders (${formatInteger(count)})` : "Unknown Senders");
  };
  store.addEventListener("unmatched", showCount, { signal });
  showCount();
  root.append(h("div", { class: "settings" }, h("h1", null, "Settings"), pages.element));
  const refresh = () => {
    if (document.visibilityState === "visible") void store.loadSettings().catch(() => {});
  };
  // The number's next steps and dates change without a word of the feed.
  document.addEventListener("visibilitychange", refresh, { signal });
  return {
    show: refresh,
    unmount() {
      closing.abort();
      root.replaceChildren();
    },
  };
}

/**
 * @param {Context} context
 * @param {AbortSignal} signal
 */
function companyPage(context, signal) {
  const { store } = context;
  const page = h("div", { class: "settings-page" }, h("p", { class: "empty", role: "status" }, "Loading…"));
  const loaded = new AbortController();
  const build = () => {
    if (store.settings === null) return;
    loaded.abort();
    replace(
      page,
      store.manager.role !== "admin" &&
        h(
          "p",
          { class: "banner" },
          "You can look at these settings. Only an admin of your company can change them.",
        ),
      companySection(context, signal),
      numberSection(context, signal),
      quietHoursSection(context, signal),
    );
  };
  store.addEventListener("settings", build, { signal: AbortSignal.any([signal, loaded.signal]) });
  build();
  return page;
}
