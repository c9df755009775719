/**
 * One conversation: who it is with, what was written, and where the next text is written.
 *
 * What comes in while it is open is announced once. It counts as read while it is in sight of somebody who
 * looks: the page is visible and its window has the focus.
 *
 * @module messages/thread
 */

import { note } from "../dialog.js";
import { h, replace } from "../dom.js";
import { formatNumber } from "../format.js";
import { problemWords } from "../words.js";
import { showBanner, showOlder } from "./banner.js";
import { isSameGroup, showItem } from "./bubble.js";
import { Composer } from "./composer.js";
import { onNewDay } from "./day.js";
import { Deliveries } from "./delivery.js";
import { ThreadHeader } from "./header.js";
import { ItemsView } from "./items.js";
import { MediaShelf } from "./media.js";
import { ScheduledList } from "./schedule.js";

/** How far back a found message is looked for. */
const MOST_OLDER_PAGES = 100;
/** Most threads are there before anybody asks where they are. */
const SLOW_MS = 500;

/**
 * @typedef {object} ThreadOptions
 * @property {import("../store.js").Store} store
 * @property {string} conversationId
 * @property {import("./drafts.js").Drafts} drafts
 * @property {() => void} onBack
 */

export class ThreadView {
  #options;
  #end = new AbortController();
  #thread = null;
  #isLoadingOlder = false;
  #isReading = false;
  /** What was there before is not announced. @type {Set<string> | null} */
  #heard = null;
  #conversation = null;
  #context;

  /** @param {ThreadOptions} options */
  constructor(options) {
    this.#options = options;
    const { store, conversationId, drafts, onBack } = options;
    this.#media = new MediaShelf(store.client);
    this.#deliveries = new Deliveries(store, {
      canSend: () => this.#conversation?.sendable ?? false,
      onShow: (messageId) => this.showMessage(messageId),
    });
    this.#composer = new Composer({ store, conversationId, drafts });
    this.#context = {
      media: this.#media,
      deliveries: this.#deliveries,
      manager: store.manager,
      senderName: () => this.#senderName(),
      onEdit: (pending) => this.#composer.takeBack(pending),
    };
    this.#items = new ItemsView({
      isSameGroup: (one, other) => isSameGroup(one, other, store.manager.id),
      show: (item, grouping) => showItem(item, grouping, this.#context),
      onOlder: () => this.#loadOlder(),
    });
    this.#header = new ThreadHeader(store, { onBack });
    this.#scheduled = new ScheduledList(store);
    this.#banner = h("div", { class: "thread-banner" });
    this.#announcer = h("div", { class: "visually-hidden", "aria-live": "polite" });
    this.element = h(
      "section",
      { class: "thread", "aria-label": "Conversation" },
      this.#header.element,
      this.#items.element,
      this.#banner,
      this.#scheduled.element,
      this.#composer.element,
      this.#announcer,
    );
    this.#composer.element.hidden = true;
    this.#listen();
  }

  #media;
  #deliveries;
  #composer;
  #items;
  #header;
  #scheduled;
  #banner;
  #announcer;

  /** Shows it, as soon as it is here. */
  async open() {
    const { store, conversationId } = this.#options;
    const slow = setTimeout(() => this.#showLoading(), SLOW_MS);
    try {
      this.#showConversation(
        store.conversation(conversationId) ?? (await store.loadConversation(conversationId)),
      );
      this.#thread = await store.thread(conversationId);
    } catch (problem) {
      if (this.#end.signal.aborted) return;
      replace(
        this.element,
        h("div", { class: "empty" }, h("p", null, problemWords(problem)), this.#backLink()),
      );
      return;
    } finally {
      clearTimeout(slow);
    }
    if (this.#end.signal.aborted) return;
    this.#showItems();
    this.#showScheduled();
    this.#markRead();
  }

  /** Nothing happens after this. */
  close() {
    this.#end.abort();
    this.#items.close();
    this.#deliveries.close();
    this.#media.close();
  }

  /**
   * The keyboard goes where one writes. Where nothing can be written it goes to the messages, and also
   * where it would come up over them.
   */
  focus() {
    const isTouched = matchMedia("(pointer: coarse)").matches;
    if (isTouched || this.#composer.element.hidden) this.#items.focus();
    else this.#composer.focus();
  }

  /**
   * Leads to a message, also when it is far back.
   *
   * @param {string} messageId
   */
  async showMessage(messageId) {
    for (let page = 0; page < MOST_OLDER_PAGES && !this.#end.signal.aborted; page += 1) {
      if (this.#thread && this.#items.showMessage(messageId)) return;
      if (!this.#thread?.hasOlder) break;
      await this.#thread.loadOlder();
      this.#showItems();
    }
    if (!this.#end.signal.aborted) note("This message is not here any more.");
  }

  #listen() {
    const { store, conversationId } = this.#options;
    const { signal } = this.#end;
    store.addEventListener("thread", ({ detail }) => detail === conversationId && this.#onThread(), {
      signal,
    });
    store.addEventListener("conversations", () => this.#onConversation(), { signal });
    store.addEventListener("scheduled", () => this.#showScheduled(), { signal });
    onNewDay(() => this.#thread && this.#showItems(), signal);
    window.addEventListener("focus", () => this.#markRead(), { signal });
    document.addEventListener("visibilitychange", () => this.#markRead(), { signal });
  }

  #onThread() {
    if (!this.#thread) return;
    this.#showItems();
    this.#markRead();
  }

  #onConversation() {
    const conversation = this.#options.store.conversation(this.#options.conversationId);
    if (!conversation || conversation === this.#conversation) return;
    this.#showConversation(conversation);
    if (this.#thread) this.#showItems();
    this.#markRead();
  }

  /** @param {any} conversation */
  #showConversation(conversation) {
    if (this.#end.signal.aborted) return;
    this.#conversation = conversation;
    this.#header.show(conversation);
    const had = this.element.contains(document.activeElement) && document.activeElement?.closest(".composer");
    this.#composer.element.hidden = !conversation.sendable;
    if (conversation.sendable) this.#composer.fit();
    else if (had) this.#items.focus();
    replace(this.#banner, showBanner(conversation));
  }

  /** The connection is slow or away. */
  #showLoading() {
    const words = h("p", { class: "quiet", role: "status" }, "The messages are on their way…");
    if (!this.#end.signal.aborted) this.#items.render([], { hasOlder: false, above: [words] });
  }

  #showItems() {
    const { items, hasOlder } = this.#thread;
    const above = hasOlder
      ? h("p", { class: "quiet" }, "Earlier messages are on their way…")
      : showOlder(this.#conversation);
    this.#items.render(items, { hasOlder, above: above ? [above] : [] });
    this.#announce(items);
  }

  async #loadOlder() {
    if (this.#isLoadingOlder || !this.#thread?.hasOlder) return;
    this.#isLoadingOlder = true;
    try {
      await this.#thread.loadOlder();
      this.#isLoadingOlder = false;
      if (!this.#end.signal.aborted) this.#showItems();
    } catch (problem) {
      // Scrolling asks again.
      setTimeout(() => (this.#isLoadingOlder = false), 2_000);
      note(problemWords(problem), { isError: true });
    }
  }

  #showScheduled() {
    const { store, conversationId } = this.#options;
    this.#scheduled.show(store.scheduled(conversationId));
  }

  /**
   * Says what came in at the end since the last time.
   *
   * @param {any[]} items
   */
  #announce(items) {
    const inbound = items.filter(({ kind, data }) => kind === "message" && data.direction === "inbound");
    const heard = this.#heard;
    this.#heard = new Set(inbound.map(({ id }) => id));
    if (!heard) return;
    const known = inbound.findLastIndex(({ id }) => heard.has(id));
    const say = ({ data }) => h("p", null, `${this.#senderName()}: ${data.body || "a file"}`);
    if (known + 1 < inbound.length) replace(this.#announcer, inbound.slice(known + 1).map(say));
  }

  async #markRead() {
    const { store, conversationId } = this.#options;
    const isSeen = this.#thread && document.visibilityState === "visible" && document.hasFocus();
    if (!isSeen || this.#isReading || !(this.#conversation?.unread > 0)) return;
    this.#isReading = true;
    try {
      await store.markRead(conversationId);
    } catch {
      // The mark stays. The next look tries again.
    } finally {
      this.#isReading = false;
    }
  }

  #senderName() {
    const { people = [], number } = this.#conversation ?? {};
    return people.map((person) => person.name).join(" or ") || formatNumber(number);
  }

  #backLink() {
    return h("p", null, h("a", { href: "#/messages" }, "All conversations"));
  }
}
