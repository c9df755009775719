/**
 * Sends of one conversation from the click to the message: visible at once, one after the other, once each.
 *
 * The message of a send comes twice, as the answer and on the feed, in any order. The answer names it; if the
 * feed is first, a message of this manager with the same text while the send is under way is taken for it.
 *
 * @module store/outbox
 */

import { messageKey } from "./order.js";

/** @typedef {import("../client.js").Message} Message */

/**
 * @typedef {object} NewSend
 * @property {string} body
 * @property {string[]} [media_urls]
 * @property {number | null} [last_seen_seq] Left out: what the thread shows now. Null: send whatever is new
 *   there.
 *
 * @typedef {object} Pending A send that was not answered yet, or failed.
 * @property {string} body
 * @property {string[]} media_urls
 * @property {"sending" | "failed"} state
 * @property {Error | null} problem A `Problem` (refused: `code` says why; `conversation_moved_on`: what is
 *   new is in the thread now) or a `NetworkError` (nobody knows whether it was taken).
 * @property {() => Promise<Message | null>} retry Tries again. What may have been taken goes on under its
 *   key; what was refused because the conversation had moved on is sent all the same.
 * @property {() => void} discard
 */

const MOVED_ON = "conversation_moved_on";

export class Outbox {
  #thread;
  #around;
  /** @type {Entry[]} */
  #entries = [];
  /**
   * The messages that were sent from here, with the keys under which they are shown.
   *
   * @type {Map<string, string>}
   */
  #keys = new Map();
  #last = Promise.resolve(null);

  /** @param {import("./thread.js").Thread} thread @param {import("./thread.js").Surroundings} around */
  constructor(thread, around) {
    this.#thread = thread;
    this.#around = around;
  }

  /** What is to be shown as pending, in the order of sending. */
  get items() {
    return this.#entries.filter(({ claimed }) => claimed === null);
  }

  /** Under which key a message is shown. @param {string} messageId */
  keyOf(messageId) {
    return this.#keys.get(messageId) ?? messageId;
  }

  /**
   * @param {NewSend} send
   * @returns {Promise<Message | null>} The message; null when it failed and stays to be tried again.
   */
  send({ body, media_urls = [], last_seen_seq = this.#around.position() }) {
    const entry = new Entry(this, { body, media_urls });
    entry.renew(this.#thread, last_seen_seq);
    this.#entries.push(entry);
    return this.go(entry);
  }

  /** @param {Entry} entry @returns {Promise<Message | null>} */
  go(entry) {
    entry.show("sending", null);
    this.#around.onChange();
    this.#last = this.#last.then(() => this.#try(entry));
    return this.#last;
  }

  /** @param {Entry} entry @returns {Promise<Message | null>} */
  again(entry) {
    if (entry.data.state !== "failed") return Promise.resolve(null);
    const hasMovedOn = /** @type {any} */ (entry.data.problem)?.code === MOVED_ON;
    if (!entry.isOutcomeUnknown) entry.renew(this.#thread, hasMovedOn ? null : this.#around.position());
    return this.go(entry);
  }

  /** @param {Entry} entry */
  discard(entry) {
    this.#entries = this.#entries.filter((each) => each !== entry);
    this.#around.onChange();
  }

  /** A message that the feed tells of: perhaps it is one of these. @param {Message} message */
  claim(message) {
    if (message.direction !== "outbound" || this.#keys.has(message.message_id)) return;
    const managerId = this.#around.managerId();
    if (managerId !== null && message.manager?.id !== managerId) return;
    const entry = this.#entries.find((each) => each.mayBe(message));
    if (!entry) return;
    // What failed without an answer has its answer now.
    if (entry.data.state === "failed") this.discard(entry);
    entry.claimed = message.message_id;
    this.#keys.set(message.message_id, entry.id);
  }

  erase() {
    this.#entries = [];
    this.#keys.clear();
  }

  async #try(entry) {
    if (!this.#entries.includes(entry)) return null;
    const { client, signal } = this.#around;
    const since = this.#around.position();
    try {
      entry.isUnderWay = true;
      const answer = await client.send(entry.request, { idempotencyKey: entry.idempotencyKey, signal });
      return this.#settle(entry, answer.messages[0] ?? null, since);
    } catch (problem) {
      if (problem.code === MOVED_ON && this.#hasSeen(entry, problem.document.unseen ?? [])) {
        entry.renew(this.#thread, null);
        return this.#try(entry);
      }
      this.#fail(entry, problem, since);
      return null;
    } finally {
      entry.isUnderWay = false;
    }
  }

  #settle(entry, message, since) {
    this.#entries = this.#entries.filter((each) => each !== entry);
    // What was taken for it was sent from somewhere else.
    if (message && entry.claimed !== message.message_id) this.#keys.delete(entry.claimed);
    if (message && !this.#thread.isDeleted) {
      this.#keys.set(message.message_id, entry.id);
      this.#thread.merge([message], since);
    }
    this.#around.onChange();
    return message;
  }

  #fail(entry, problem, since) {
    entry.isOutcomeUnknown = problem.isTemporary === true || problem.name === "AbortError";
    if (entry.claimed !== null && entry.isOutcomeUnknown) return this.#settle(entry, null, since);
    if (entry.claimed !== null) this.#keys.delete(entry.claimed);
    entry.claimed = null;
    entry.show("failed", problem);
    if (problem.code === MOVED_ON) this.#thread.merge(problem.document.unseen ?? [], since);
    this.#around.onChange();
  }

  /** What is new there was sent from here a moment ago, or was shown already. */
  #hasSeen(entry, unseen) {
    const isSeen = (message) => this.#keys.has(message.message_id) || messageKey(message) <= entry.seenUpTo;
    return unseen.length > 0 && unseen.every(isSeen);
  }
}

/** One send. */
class Entry {
  id = `pending-${crypto.randomUUID()}`;
  at = new Date();
  idempotencyKey = "";
  /** @type {any} */
  request = null;
  /** The newest message that was shown when it was sent. */
  seenUpTo = "";
  isUnderWay = false;
  isOutcomeUnknown = false;
  /** The message of the feed that is taken for this one. @type {string | null} */
  claimed = null;

  /** @param {Outbox} outbox @param {{ body: string, media_urls: string[] }} content */
  constructor(outbox, { body, media_urls }) {
    const retry = () => outbox.again(this);
    const discard = () => outbox.discard(this);
    /** @type {Pending} */
    this.data = { body, media_urls, state: "sending", problem: null, retry, discard };
  }

  /** Makes it a send of its own: another key, and what has been seen until now. */
  renew(thread, lastSeenSeq) {
    const { body, media_urls: mediaUrls } = this.data;
    this.idempotencyKey = crypto.randomUUID();
    this.seenUpTo = thread.newest ? messageKey(thread.newest) : "";
    this.request = { recipients: [{ conversation_id: thread.id }], body };
    if (mediaUrls.length > 0) this.request.media_urls = mediaUrls;
    if (lastSeenSeq !== null) this.request.last_seen_seq = lastSeenSeq;
  }

  show(state, problem) {
    this.data = { ...this.data, state, problem };
  }

  /** @param {Message} message */
  mayBe(message) {
    const { body, media_urls: mediaUrls, state } = this.data;
    const isOpen = this.isUnderWay || (state === "failed" && this.isOutcomeUnknown);
    // Merge fields are filled in by the API.
    const hasSameBody = message.body === body || body.includes("{{");
    return isOpen && this.claimed === null && hasSameBody && message.media.length === mediaUrls.length;
  }
}
