/**
 * Sends that wait for their time.
 *
 * @module store/scheduled
 */

/**
 * @typedef {object} ScheduledSend
 * @property {string} scheduled_id
 * @property {import("../client.js").Manager} manager
 * @property {import("../client.js").Recipient[]} recipients The first 100.
 * @property {number} recipient_count
 * @property {string | null} body
 * @property {string[]} media_urls
 * @property {string} send_at
 * @property {"waiting" | "sent" | "canceled"} status
 */

export class Scheduled {
  /** @type {Map<string, { send: ScheduledSend, seq: number }>} */
  #waiting = new Map();
  /** Those that have ended do not come back with an answer that is late. @type {Set<string>} */
  #ended = new Set();

  /** @param {ScheduledSend} send As it is now. @param {number} seq */
  put(send, seq) {
    const id = send.scheduled_id;
    if (this.#ended.has(id)) return;
    if (send.status === "waiting") {
      this.#waiting.set(id, { send, seq });
    } else {
      this.#ended.add(id);
      this.#waiting.delete(id);
    }
  }

  /**
   * All that wait.
   *
   * @param {ScheduledSend[]} sends
   * @param {number} since The position when they were asked for.
   */
  replace(sends, since) {
    for (const [id, { seq }] of this.#waiting) if (seq <= since) this.#waiting.delete(id);
    for (const send of sends) if (!this.#waiting.has(send.scheduled_id)) this.put(send, since);
  }

  /** Soonest first. @returns {ScheduledSend[]} */
  list() {
    const sends = [...this.#waiting.values()].map(({ send }) => send);
    return sends.sort((one, other) => Date.parse(one.send_at) - Date.parse(other.send_at));
  }

  /**
   * Those into a conversation or to its people.
   *
   * @param {import("../client.js").Conversation | undefined} conversation
   * @param {string} conversationId
   */
  listOf(conversation, conversationId) {
    const people = new Set(conversation?.people.map(({ person_id: id }) => id));
    const isFor = (recipient) =>
      recipient.conversation_id === conversationId || people.has(recipient.person_id);
    return this.list().filter(({ recipients }) => recipients.some(isFor));
  }
}
