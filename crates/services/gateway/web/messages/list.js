/**
 * The conversations, newest first, with what finds them: a field for names, numbers and words, and a switch
 * for the unread.
 *
 * @module messages/list
 */

import { h, replace } from "../dom.js";
import { formatCount } from "../format.js";
import { problemWords } from "../words.js";
import { onNewDay } from "./day.js";
import { Found } from "./found.js";
import { ROW_HEIGHT, fillRow } from "./row.js";
import { ConversationSource } from "./source.js";
import { WindowedList } from "./window.js";

/** After the last key. */
const TYPING_MS = 200;

/**
 * @typedef {object} ListOptions
 * @property {import("../store.js").Store} store
 * @property {(conversationId: string, messageId?: string) => void} onOpen
 * @property {(recipients?: object[]) => void} onWrite
 */

export class ListView {
  #options;
  #typing = 0;
  #frame = 0;
  #end = new AbortController();

  /** @param {ListOptions} options */
  constructor(options) {
    this.#options = options;
    const { store, onOpen, onWrite } = options;
    this.#source = new ConversationSource(store, () => this.#showSoon());
    this.#scroller = h("div", { class: "list-scroller" });
    this.#window = new WindowedList({
      scroller: this.#scroller,
      label: "Conversations",
      rowHeight: ROW_HEIGHT,
      idOf: (conversation) => conversation.conversation_id,
      fill: (element, conversation) => fillRow(element, conversation, store.manager?.id),
      onOpen: (conversation) => onOpen(conversation.conversation_id),
      onNearEnd: () => this.#source.loadMore(),
    });
    this.#found = new Found({
      client: store.client,
      onOpen,
      onWrite: (person) => onWrite([person]),
      conversations: () => this.#source.items,
    });
    this.#hint = h("div", { class: "list-hint" });
    this.#status = h("p", { class: "visually-hidden", role: "status" });
    this.#scroller.append(this.#window.element, this.#hint, this.#found.element);
    this.element = h(
      "section",
      { class: "list", "aria-label": "Conversations" },
      this.#bar(),
      this.#scroller,
      this.#status,
    );
    onNewDay(() => this.#window.refresh(), this.#end.signal);
    this.#show();
  }

  #source;
  #scroller;
  #window;
  #found;
  #hint;
  #status;
  #search;
  #unread;

  /** Nothing happens after this. */
  close() {
    clearTimeout(this.#typing);
    cancelAnimationFrame(this.#frame);
    this.#end.abort();
    this.#source.close();
    this.#found.close();
    this.#window.close();
  }

  /** @param {string | null} conversationId The one that is open. */
  select(conversationId) {
    this.#window.select(conversationId);
  }

  focus() {
    this.#window.element.focus({ preventScroll: true });
  }

  #bar() {
    this.#search = h("input", {
      type: "search",
      placeholder: "Search",
      autocomplete: "off",
      "aria-label": "Search people, numbers and messages",
      oninput: () => this.#onType(),
      onkeydown: (event) => this.#onKey(event),
    });
    this.#unread = h(
      "button",
      { type: "button", class: "toggle", "aria-pressed": "false", onclick: () => this.#onUnread() },
      "Unread",
    );
    return h("div", { class: "list-bar", role: "search" }, this.#search, this.#unread);
  }

  #onType() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#look(), TYPING_MS);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this.focus();
    } else if (event.key === "Enter") {
      clearTimeout(this.#typing);
      this.#look();
    }
  }

  #onUnread() {
    this.#unread.setAttribute("aria-pressed", String(!this.#isUnread));
    this.#look();
  }

  get #isUnread() {
    return this.#unread.getAttribute("aria-pressed") === "true";
  }

  async #look() {
    const query = this.#search.value.trim();
    this.#scroller.scrollTop = 0;
    await this.#source.filter({ query, unread: this.#isUnread });
    // What stands above decides which people are named below.
    if (query === this.#search.value.trim()) await this.#found.search(query);
  }

  /** Much may change at once, also while the page does not show. */
  #showSoon() {
    cancelAnimationFrame(this.#frame);
    if (document.visibilityState === "hidden") this.#show();
    else this.#frame = requestAnimationFrame(() => this.#show());
  }

  #show() {
    const { items, isComplete, isFiltered } = this.#source;
    this.#window.setItems(items, { isComplete });
    this.#window.element.hidden = items.length === 0;
    replace(this.#hint, this.#describe(items.length));
    const words =
      isFiltered && !this.#source.isLoading
        ? `${formatCount(items.length, "conversation")}${isComplete ? "" : " and more"}`
        : "";
    if (this.#status.textContent !== words) this.#status.textContent = words;
  }

  /** What to say where there is nothing, or nothing yet. */
  #describe(count) {
    const { problem, isLoading, isFiltered, isComplete } = this.#source;
    if (problem) {
      const again = h(
        "button",
        { type: "button", class: "button", onclick: () => this.#source.retry() },
        "Try again",
      );
      return h("div", { class: "empty" }, h("p", null, problemWords(problem)), again);
    }
    if (count > 0) return null;
    if (isLoading || !isComplete) return h("p", { class: "empty" }, "Looking…");
    if (this.#search.value.trim() !== "") {
      return h("p", { class: "empty short" }, "No conversation with such a name or number.");
    }
    if (isFiltered) return h("p", { class: "empty" }, "You have read everything.");
    const write = h(
      "button",
      { type: "button", class: "button", onclick: () => this.#options.onWrite() },
      "Write the first text",
    );
    return h("div", { class: "empty" }, h("p", null, "There are no conversations yet."), write);
  }
}
