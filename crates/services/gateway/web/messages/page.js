/**
 * The Messages tab: the conversations, and the one that is open. On narrow screens one of the two shows.
 *
 * @module messages/page
 */

import { note } from "../dialog.js";
import { h, replace } from "../dom.js";
import { addressOf } from "./banner.js";
import { Drafts } from "./drafts.js";
import { ListView } from "./list.js";
import { ThreadView } from "./thread.js";

/**
 * @param {HTMLElement} root
 * @param {import("../shell.js").Context} context
 * @returns {import("../shell.js").Page}
 */
export function mount(root, context) {
  const page = new MessagesPage(root, context);
  return { show: (params) => page.show(params), unmount: () => page.unmount() };
}

class MessagesPage {
  #context;
  #end = new AbortController();
  #drafts;
  /** @type {{ id: string, view: ThreadView } | null} */
  #open = null;
  /** What was chosen here, and not by an address: the keyboard goes there, and to this message. */
  #chosen = null;

  /**
   * @param {HTMLElement} root
   * @param {import("../shell.js").Context} context
   */
  constructor(root, context) {
    this.#context = context;
    const { store } = context;
    this.#drafts = new Drafts(store.manager.license_id);
    this.#list = new ListView({
      store,
      onOpen: (conversationId, messageId) => this.#choose(conversationId, messageId),
      onWrite: (recipients) => context.openTextMessage(recipients),
    });
    this.#place = h("div", { class: "thread-place" });
    this.#root = h("div", { class: "messages" }, this.#list.element, this.#place);
    root.append(this.#root);
    store.addEventListener("deleted", ({ detail }) => this.#onDeleted(detail), {
      signal: this.#end.signal,
    });
  }

  #list;
  #place;
  #root;

  /** @param {{ conversationId?: string }} params */
  show({ conversationId = null }) {
    this.#root.classList.toggle("has-thread", conversationId !== null);
    this.#list.select(conversationId);
    if (conversationId === null) this.#close();
    else if (this.#open?.id !== conversationId) this.#show(conversationId);
    else this.#goTo();
  }

  unmount() {
    this.#end.abort();
    this.#open?.view.close();
    this.#list.close();
    this.#root.remove();
  }

  /**
   * @param {string} conversationId
   * @param {string} [messageId]
   */
  #choose(conversationId, messageId) {
    this.#chosen = { conversationId, messageId };
    if (this.#open?.id === conversationId) this.#goTo();
    else this.#context.navigate(addressOf(conversationId));
  }

  /** @param {string} id */
  async #show(id) {
    this.#open?.view.close();
    const view = new ThreadView({
      store: this.#context.store,
      conversationId: id,
      drafts: this.#drafts,
      onBack: () => this.#context.navigate("#/messages"),
    });
    this.#open = { id, view };
    replace(this.#place, view.element);
    await view.open();
    if (this.#open?.view === view) this.#goTo();
  }

  #goTo() {
    const { conversationId, messageId } = this.#chosen ?? {};
    this.#chosen = null;
    if (conversationId !== this.#open?.id) return;
    this.#open.view.focus();
    if (messageId) this.#open.view.showMessage(messageId);
  }

  #close() {
    const wasOpen = this.#open !== null;
    this.#open?.view.close();
    this.#open = null;
    replace(this.#place, h("p", { class: "empty" }, "Choose a conversation."));
    if (wasOpen) this.#list.focus();
  }

  /** @param {string} conversationId */
  #onDeleted(conversationId) {
    this.#drafts.keep(conversationId, { body: "", mediaUrls: [] });
    if (this.#open?.id !== conversationId) return;
    note("This conversation has been deleted.");
    this.#context.navigate("#/messages");
  }
}
