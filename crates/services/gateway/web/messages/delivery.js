/**
 * What became of an outbound message, in words under its bubble.
 *
 * Why a message waits is asked for while it is in the page and the page is visible.
 *
 * @module messages/delivery
 */

import { note } from "../dialog.js";
import { h, replace } from "../dom.js";
import { messageErrorWords, problemWords, statusWords, waitingWords } from "../words.js";
import { icon } from "./icons.js";

/** Most messages go out within a second or two: only who waits longer is asked why. */
const FIRST_ASK_MS = 1_500;
const NEXT_ASK_MS = 5_000;
/** Of a send to many, the newest few tell enough. */
const MOST_ASKED = 8;

const WAITING = new Set(["queued", "unknown"]);
const CAME_TO_NOTHING = new Set(["failed", "undelivered", "canceled"]);
const ICONS = {
  queued: "clock",
  sending: "clock",
  sent: "check",
  delivered: "checks",
  undelivered: "warning",
  failed: "warning",
  canceled: "stop",
};

/** @param {any} message */
const isUnconfirmed = (message) => message.status === "unknown" && message.error?.code === "not_confirmed";

/** @param {any} message */
const isWaiting = (message) => WAITING.has(message.status) && !isUnconfirmed(message);

/**
 * Whether a message has more to tell than that it went well: then it tells it also in the middle of a group.
 *
 * @param {any} message
 * @returns {boolean}
 */
export function isNotable(message) {
  return !["sent", "delivered", "received"].includes(message.status) || Boolean(message.sent_again_as);
}

/** The delivery lines of one thread. */
export class Deliveries {
  #store;
  #canSend;
  #onShow;
  /** @type {Map<string, HTMLElement>} Where the reason shows, by message. */
  #waiting = new Map();
  /** What was said last of those that wait: a line that is drawn anew begins with it. */
  #reasons = new Map();
  #timer = 0;
  #end = new AbortController();

  /**
   * @param {import("../store.js").Store} store
   * @param {{ canSend: () => boolean, onShow: (messageId: string) => void }} options
   *   `onShow`: leads to another message.
   */
  constructor(store, { canSend, onShow }) {
    this.#store = store;
    this.#canSend = canSend;
    this.#onShow = onShow;
    document.addEventListener("visibilitychange", () => this.#ask(), { signal: this.#end.signal });
  }

  /** Nothing is asked after this. */
  close() {
    clearTimeout(this.#timer);
    this.#end.abort();
  }

  /**
   * The line under an outbound message.
   *
   * @param {any} message
   * @returns {HTMLElement}
   */
  show(message) {
    const reason = isWaiting(message) ? this.#reasons.get(message.message_id) : null;
    const words = h("span", { class: "delivery-words" }, reason ?? describe(message));
    if (isWaiting(message)) this.#watch(message, words);
    const bad = message.error !== null && !isWaiting(message);
    return h(
      "span",
      { class: `delivery ${message.status}${bad ? " bad" : ""}` },
      h("span", { class: "delivery-icon" }, icon(ICONS[message.status] ?? "question")),
      words,
      " ",
      this.#sendAgain(message),
    );
  }

  /** @param {any} message */
  #sendAgain(message) {
    if (message.sent_again_as) {
      const show = () => this.#onShow(message.sent_again_as);
      return h("button", { type: "button", class: "link", onclick: show }, "Sent again");
    }
    const may = CAME_TO_NOTHING.has(message.status) || isUnconfirmed(message);
    if (!may || !this.#canSend()) return null;
    const button = h("button", { type: "button", class: "link" }, "Send again");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await this.#store.sendAgain(message.message_id);
      } catch (problem) {
        note(problemWords(problem), { isError: true });
        button.disabled = false;
      }
    });
    return button;
  }

  /**
   * @param {any} message
   * @param {HTMLElement} words
   */
  #watch(message, words) {
    this.#waiting.set(message.message_id, words);
    this.#timer ||= setTimeout(() => this.#ask(), FIRST_ASK_MS);
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    for (const [id, words] of this.#waiting) {
      if (!words.isConnected) this.#waiting.delete(id);
    }
    if (this.#waiting.size === 0 || document.visibilityState === "hidden") return;
    const asked = [...this.#waiting].slice(-MOST_ASKED);
    await Promise.all(asked.map(([id]) => this.#askFor(id)));
    if (this.#end.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), NEXT_ASK_MS);
  }

  /** @param {string} messageId */
  async #askFor(messageId) {
    try {
      const waiting = await this.#store.waiting(messageId);
      if (!waiting) return;
      this.#reasons.set(messageId, waitingWords(waiting));
      const words = this.#waiting.get(messageId);
      if (words) replace(words, waitingWords(waiting));
    } catch {
      // The reason is a courtesy: the status stays, and it is asked for again.
    }
  }
}

/** @param {any} message */
function describe(message) {
  const { status, error } = message;
  if (isUnconfirmed(message)) return messageErrorWords(error);
  return error ? `${statusWords(status)}. ${messageErrorWords(error)}` : statusWords(status);
}
