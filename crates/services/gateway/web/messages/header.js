/**
 * The head of a thread: with whom it is, and what can be done with all of it.
 *
 * @module messages/header
 */

import { menuButton } from "../dialog.js";
import { h, replace } from "../dom.js";
import { formatKind, formatNumber, formatPeople } from "../format.js";
import { askForConsent, askForDeletion, openTranscript } from "./actions.js";
import { icon } from "./icons.js";
import { kindsOf } from "./row.js";

export class ThreadHeader {
  #conversation = null;

  /**
   * @param {import("../store.js").Store} store
   * @param {{ onBack: () => void }} options
   */
  constructor(store, { onBack }) {
    this.#text = h("div", { class: "thread-title" });
    const menu = menuButton("What to do with this conversation", () => this.#menu(store));
    const back = h(
      "button",
      {
        type: "button",
        class: "icon back",
        "aria-label": "Back to the conversations",
        onclick: onBack,
      },
      "‹",
    );
    this.element = h("header", { class: "thread-header" }, back, this.#text, menu);
  }

  #text;

  /** @param {any} conversation */
  show(conversation) {
    this.#conversation = conversation;
    const { people, number, sendable } = conversation;
    replace(
      this.#text,
      h("h2", { tabIndex: -1, dir: "auto" }, formatPeople(conversation)),
      h(
        "p",
        { class: "quiet" },
        kindsOf(people).map((kind) => h("span", { class: `chip kind-${kind}` }, formatKind(kind))),
        people.length > 0 ? h("span", { class: "thread-number" }, formatNumber(number)) : null,
        sendable ? null : h("span", { class: "thread-state" }, icon("lock", 13), " Read-only"),
      ),
    );
  }

  /** @param {import("../store.js").Store} store */
  #menu(store) {
    const conversation = this.#conversation;
    if (!conversation) return [];
    const optedOut = conversation.consent?.opted_out ?? false;
    return [
      { label: "Transcript…", onchoose: () => openTranscript(store, conversation) },
      {
        label: optedOut ? "Texts are welcome again…" : "No texts are wanted…",
        disabled: conversation.reason === "number_no_longer_tied",
        onchoose: () => askForConsent(store, conversation, !optedOut),
      },
      {
        label: "Delete Conversation…",
        danger: true,
        onchoose: () => askForDeletion(store, conversation),
      },
    ];
  }
}
