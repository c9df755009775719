/**
 * Calls to the messages number, newest first. They are forwarded, never recorded.
 *
 * @module settings/calls
 */

import { h } from "../dom.js";
import { formatMoment, formatNumber, formatPeople } from "../format.js";
import { callResultWords } from "../words.js";
import { LiveList } from "./live-list.js";

/**
 * @param {import("./page.js").Context} context
 * @param {AbortSignal} signal Until then it is live.
 * @returns {{ element: HTMLElement, show(): void }} `show` loads the list when it is first looked at.
 */
export function callList({ store }, signal) {
  const list = new LiveList({
    load: (query) => store.client.get("/v1/calls", query, { signal }),
    row: callRow,
    empty: "Nobody has called the messages number yet.",
    signal,
  });
  store.addEventListener("call", () => list.refresh(), { signal });
  return {
    element: h(
      "section",
      { class: "card", "aria-labelledby": "settings-calls" },
      h("h2", { id: "settings-calls" }, "Calls"),
      h(
        "p",
        { class: "quiet" },
        "Who called the messages number. Calls are forwarded to the company phone and never recorded.",
      ),
      list.element,
    ),
    show: () => list.show(),
  };
}

/** @param {any} call */
function callRow({ from, people, conversation_id, result, duration_s, started_at }) {
  const who =
    from === null && people.length === 0 ? "Number withheld" : formatPeople({ people, number: from ?? "" });
  const came = callResultWords(result, duration_s) || "it rings";
  return h(
    "li",
    { class: "entry" },
    h(
      "div",
      { class: "entry-main" },
      h("strong", null, conversation_id ? h("a", { href: `#/messages/${conversation_id}` }, who) : who),
      people.length > 0 && from !== null && h("span", { class: "quiet" }, formatNumber(from)),
    ),
    h("span", null, came),
    h("time", { class: "quiet", dateTime: started_at }, formatMoment(started_at)),
  );
}
