/**
 * How many messages the manager has not read, over all conversations. Pages and read marks say it; in between
 * every inbound message of the feed is one more.
 *
 * @module store/unread
 */

import { messageKey } from "./order.js";

/** More do not come while one request is under way. */
const MOST_RECENT = 500;

export class Unread {
  total = 0;
  /** Inbound messages up to this one are in what a page said. */
  #countedUpTo = "";
  /** The position of the read mark that spoke last. */
  #readSeq = 0;
  /** The newest inbound messages of the feed. @type {{ seq: number, key: string }[]} */
  #recent = [];

  /**
   * An inbound message of the feed.
   *
   * @param {import("../client.js").Message} message
   * @param {number} seq
   * @returns {boolean} False: a page has counted it already, or it came late and is older than what that page
   *   had. Only another page tells.
   */
  add(message, seq) {
    const key = messageKey(message);
    if (key <= this.#countedUpTo) return false;
    this.total += 1;
    this.#recent.push({ seq, key });
    if (this.#recent.length > MOST_RECENT) this.#recent.shift();
    return true;
  }

  /** A read mark's answer or entry. @param {number} total @param {number} seq */
  set(total, seq) {
    this.total = total;
    this.#readSeq = seq;
  }

  /**
   * The first page of all conversations. Its first conversation has the newest message of all.
   *
   * @param {{ items: import("../client.js").Conversation[], total_unread: number }} page
   * @param {number} since The position when it was asked for.
   */
  takePage(page, since) {
    if (this.#readSeq > since) return;
    const newest = page.items[0]?.last_message;
    this.#countedUpTo = newest ? messageKey(newest) : "";
    this.#recent = this.#recent.filter(({ seq, key }) => seq > since && key > this.#countedUpTo);
    this.total = page.total_unread + this.#recent.length;
  }
}
