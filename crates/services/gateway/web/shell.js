/**
 * The frame around the pages: which page is shown, who is signed in, what is unread, and whether the connection lives.
 *
 * The address after `#` names the page: `#/messages`, `#/messages/<conversation id>`, `#/settings`. A page is a module with
 * `mount(root, context)`; it answers `show(params)`, called at each change of the address, and `unmount()`.
 *
 * @module shell
 */

import { openTextMessage } from "./bulk/dialog.js";
import { menuButton } from "./dialog.js";
import { h, replace } from "./dom.js";
import { formatInteger, initials } from "./format.js";
import * as messages from "./messages/page.js";
import * as settings from "./settings/page.js";

/**
 * @typedef {object} Context What a page is given.
 * @property {import("./store.js").Store} store
 * @property {(hash: string) => void} navigate Shows another place: `#/messages/<conversation id>`.
 * @property {(recipients?: object[]) => void} openTextMessage
 */

/**
 * @typedef {object} Page
 * @property {(params: { conversationId?: string }) => void} show
 * @property {() => void} unmount
 */

/** @type {Record<string, { title: string, mount: (root: HTMLElement, context: Context) => Page }>} */
const PAGES = {
  messages: { title: "Messages", mount: messages.mount },
  settings: { title: "Settings", mount: settings.mount },
};

/** What is shown when the address names nothing. */
const HOME = "#/messages";

const AWAY = "Connection is away. What you see may be old; it comes back by itself.";

/**
 * Opens the frame for who is signed in.
 *
 * @param {import("./store.js").Store} store
 * @param {import("./session.js").Session} session
 * @param {string | null} phonesUrl Development: where one plays the tenants.
 * @returns {{ close(): void }}
 */
export function openShell(store, session, phonesUrl) {
  const end = new AbortController();
  /** @type {Context} */
  const context = {
    store,
    navigate: (hash) => (location.hash = hash),
    openTextMessage: (recipients = []) => openTextMessage(context, recipients),
  };
  const on = (/** @type {string} */ event, /** @type {() => void} */ show) => {
    store.addEventListener(event, show, { signal: end.signal });
    show();
  };
  const pages = showPages(context, end.signal);
  showAccount(session);
  showPhones(phonesUrl);
  find("text-message").addEventListener("click", () => context.openTextMessage(), { signal: end.signal });
  on("settings", () => (find("company").textContent = store.settings?.company_name ?? ""));
  on("unread", () => showUnread(store.totalUnread ?? 0));
  on("connection", () => showConnection(store.connection));
  store.addEventListener("refused", (event) => showRefusal(event.detail), { signal: end.signal });
  find("pages").hidden = find("actions").hidden = false;
  return {
    close() {
      end.abort();
      pages.unmount();
      find("pages").hidden = find("actions").hidden = true;
      find("connection").textContent = find("company").textContent = "";
      showUnread(0);
    },
  };
}

/**
 * Lets the keyboard jump over the bar. The address is the pages' own, so it does not change.
 */
export function makeSkipLink() {
  find("skip").addEventListener("click", (event) => {
    event.preventDefault();
    find("main").focus();
  });
}

/**
 * Which page an address names, and what of it.
 *
 * @param {string} hash
 * @returns {{ name: string, params: { conversationId?: string } } | null} Null: no page.
 */
export function readAddress(hash) {
  const [, name, id] = /^#\/([a-z]+)(?:\/([\w-]+))?$/.exec(hash) ?? [];
  if (!Object.hasOwn(PAGES, name)) return null;
  if (id === undefined) return { name, params: {} };
  return name === "messages" ? { name, params: { conversationId: id } } : null;
}

/**
 * @param {Context} context
 * @param {AbortSignal} signal
 * @returns {{ unmount(): void }}
 */
function showPages(context, signal) {
  /** @type {{ name: string, page: Page } | null} */
  let shown = null;
  const unmount = () => {
    shown?.page.unmount();
    shown = null;
    replace(find("main"));
  };
  const follow = () => {
    let address = readAddress(location.hash);
    if (!address) {
      history.replaceState(null, "", HOME);
      address = { name: "messages", params: {} };
    }
    if (shown?.name !== address.name) {
      unmount();
      const root = h("div", { class: "page" });
      find("main").append(h("h1", { class: "visually-hidden" }, PAGES[address.name].title), root);
      shown = { name: address.name, page: PAGES[address.name].mount(root, context) };
      markPage(address.name);
    }
    shown.page.show(address.params);
  };
  window.addEventListener("hashchange", follow, { signal });
  follow();
  return { unmount };
}

/** @param {string} name */
function markPage(name) {
  for (const link of find("pages").querySelectorAll("a[data-page]")) {
    if (link.getAttribute("data-page") === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  showTitle();
  // What had the focus may have gone with the page before.
  if (document.activeElement === document.body) find("main").focus({ preventScroll: true });
}

/** @param {number} count */
function showUnread(count) {
  find("unread").hidden = count === 0;
  find("unread-count").textContent = count === 0 ? "" : formatInteger(count);
  showTitle();
}

/** The unread count stands first: it is what a narrow tab of the browser still shows. */
function showTitle() {
  const count = find("unread-count").textContent;
  const name = readAddress(location.hash)?.name;
  const place = name ? `${PAGES[name].title} – Leaseline` : "Leaseline";
  document.title = count ? `(${count}) ${place}` : place;
}

/**
 * Each try to connect again is no news: the line stays until the connection lives.
 *
 * @param {"connecting" | "live" | "away"} state
 */
function showConnection(state) {
  const line = find("connection");
  if (state === "away") line.textContent = AWAY;
  if (state === "live") line.textContent = "";
}

/**
 * The connection has ended for good.
 *
 * @param {{ detail?: string, message: string }} problem
 */
function showRefusal(problem) {
  find("connection").textContent = `What you see is not live any more: ${problem.detail ?? problem.message} Load the page again.`;
}

/** @param {import("./session.js").Session} session */
function showAccount({ manager, others, change, signOut }) {
  const choices = others.map((other) => ({ label: `Switch to ${other.label}`, onchoose: () => change?.(other) }));
  if (signOut) choices.push({ label: "Sign out", onchoose: signOut });
  replace(
    find("account"),
    h("span", { class: "disc", "aria-hidden": "true", title: manager.name }, initials(manager.name)),
    h(
      "span",
      { class: "account-name" },
      h("span", { class: "visually-hidden" }, "Signed in: "),
      h("strong", null, manager.name),
      h("span", { class: "quiet" }, manager.role === "admin" ? "Admin" : "Manager"),
    ),
    choices.length > 0 && menuButton("Account", () => choices),
  );
}

/** @param {string | null} url */
function showPhones(url) {
  const link = /** @type {HTMLAnchorElement} */ (find("phones"));
  link.hidden = url === null;
  if (url !== null) link.href = url;
}

/** @param {string} id */
function find(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
