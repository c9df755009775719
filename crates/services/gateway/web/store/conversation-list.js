/**
 * The conversations that are known, and the list of them, newest first.
 *
 * The list has what was loaded, down to a border; what is older is known only when somebody asked for it. A
 * change moves one conversation: nothing is sorted anew, however long the list is.
 *
 * Answers and the feed overtake each other. An answer holds everything up to the position that the feed had
 * when the request began (`since`), so it replaces what is not newer than that.
 *
 * @module store/conversation-list
 */

import { conversationKey, furtherMessage, messageKey, openingKey } from "./order.js";

/** @typedef {import("../client.js").Conversation} Conversation */
/** @typedef {import("../client.js").Message} Message */

/**
 * @typedef {object} Known
 * @property {Conversation} conversation Never changed in place: what is another object is another state.
 * @property {string} key Where it stands.
 * @property {number} seq The position up to which it is surely up to date. Below zero: not at all.
 * @property {string} countedUpTo Inbound messages up to this one are in `unread`.
 * @property {boolean} isListed
 */

const STALE = -1;
/** Above every key. */
const HIGHEST = "\uffff";

export class ConversationList {
  /** Newest first. The same array always. @type {Conversation[]} */
  items = [];
  /** @type {string | null} */
  nextCursor = null;
  /** @type {Map<string, Known>} */
  #known = new Map();
  /** @type {Set<string>} */
  #unlisted = new Set();
  /** @type {Set<string>} */
  #deleted = new Set();
  /** The newest that the first page knew: what was opened later has nothing that the feed did not tell. */
  #begunAt = HIGHEST;
  /** What stands below it is not in the list. */
  #border = HIGHEST;

  /** @param {string} id @returns {Conversation | undefined} */
  find(id) {
    return this.#known.get(id)?.conversation;
  }

  /** It was deleted while this page was open. @param {string} id */
  isDeleted(id) {
    return this.#deleted.has(id);
  }

  /**
   * A page of the list.
   *
   * @param {{ items: Conversation[], next_cursor: string | null }} page
   * @param {number} since
   */
  addPage(page, since) {
    for (const conversation of page.items) this.merge(conversation, since);
    this.nextCursor = page.next_cursor;
    const last = page.items.at(-1);
    this.#setBorder(page.next_cursor === null ? "" : last ? conversationKey(last) : this.#border);
  }

  /**
   * Begins the list anew with its first page: what is not in it and did not change since is forgotten.
   *
   * @param {{ items: Conversation[], next_cursor: string | null }} page
   * @param {number} since
   */
  startOver(page, since) {
    for (const known of this.#known.values()) if (known.seq <= since) known.seq = STALE;
    this.addPage(page, since);
    this.#begunAt =
      page.items
        .flatMap((each) => [conversationKey(each), openingKey(each)])
        .sort()
        .at(-1) ?? "";
    for (const [id, known] of this.#known) if (known.seq === STALE) this.#forget(id, known);
  }

  /** Nothing that is known can be trusted: the feed lost its place. */
  distrust() {
    this.#begunAt = HIGHEST;
    for (const known of this.#known.values()) known.seq = STALE;
  }

  /**
   * A conversation as an answer told of it.
   *
   * @param {Conversation} conversation With `unread`.
   * @param {number} since
   */
  merge(conversation, since) {
    const id = conversation.conversation_id;
    const known = this.#known.get(id);
    if (this.#deleted.has(id) || (known && known.seq > since)) return;
    const countedUpTo = conversation.last_message ? messageKey(conversation.last_message) : "";
    this.#put(id, conversation, { seq: since, countedUpTo });
  }

  /**
   * `conversation.updated`: everything but what the manager has not read.
   *
   * @param {Conversation} update
   * @param {number} seq
   * @returns {boolean} False: it has to be fetched.
   */
  update(update, seq) {
    const id = update.conversation_id;
    const known = this.#known.get(id);
    if (this.#deleted.has(id)) return true;
    if (!known || known.seq === STALE) {
      const isNew = openingKey(update) > this.#begunAt;
      if (isNew) this.#put(id, { ...update, unread: 0 }, { seq, countedUpTo: "" });
      return isNew;
    }
    const lastMessage = newest(known.conversation.last_message, update.last_message);
    const conversation = { ...update, unread: known.conversation.unread, last_message: lastMessage };
    this.#put(id, conversation, { seq, countedUpTo: known.countedUpTo });
    return true;
  }

  /**
   * `message.created` and `message.updated`.
   *
   * @param {Message} message
   * @param {number} seq
   * @param {boolean} isCreated
   * @returns {boolean} False: the conversation has to be fetched.
   */
  addMessage(message, seq, isCreated) {
    const id = message.conversation_id;
    const known = this.#known.get(id);
    if (this.#deleted.has(id)) return true;
    // A change of a message in a conversation that nobody looks at is of no interest.
    if (!known || known.seq === STALE) return !isCreated;
    const isInbound = isCreated && message.direction === "inbound";
    // An answer has counted it already, or it came late, as what an unknown sender wrote before somebody knew them.
    const isOlder = isInbound && messageKey(message) <= known.countedUpTo;
    const { last_message: last, unread = 0 } = known.conversation;
    const conversation = {
      ...known.conversation,
      last_message: isCreated || last?.message_id === message.message_id ? newest(last, message) : last,
      unread: isInbound && !isOlder ? unread + 1 : unread,
    };
    this.#put(id, conversation, { seq, countedUpTo: known.countedUpTo });
    return !isOlder;
  }

  /** What is left to read of a conversation. @param {string} id @param {number} unread @param {number} seq */
  setUnread(id, unread, seq) {
    const known = this.#known.get(id);
    if (!known || known.seq === STALE) return;
    const seen = Math.max(seq, known.seq);
    this.#put(id, { ...known.conversation, unread }, { seq: seen, countedUpTo: known.countedUpTo });
  }

  /** @param {string} id */
  remove(id) {
    this.#deleted.add(id);
    const known = this.#known.get(id);
    if (known) this.#forget(id, known);
  }

  /**
   * @param {string} id
   * @param {Conversation} conversation
   * @param {{ seq: number, countedUpTo: string }} state
   */
  #put(id, conversation, { seq, countedUpTo }) {
    const before = this.#known.get(id);
    const known = { conversation, key: conversationKey(conversation), seq, countedUpTo, isListed: false };
    if (before?.isListed && before.key === known.key) {
      this.items[this.#find(known.key)] = conversation;
      known.isListed = true;
      this.#known.set(id, known);
      return;
    }
    if (before) this.#unlist(before);
    this.#known.set(id, known);
    this.#list(id, known);
  }

  #setBorder(border) {
    const isLower = border < this.#border;
    this.#border = border;
    if (isLower) {
      for (const id of this.#unlisted) this.#list(id, /** @type {Known} */ (this.#known.get(id)));
    } else {
      for (const [id, known] of this.#known) {
        if (!known.isListed || known.key >= border) continue;
        this.#unlist(known);
        this.#unlisted.add(id);
      }
    }
  }

  #list(id, known) {
    if (known.key < this.#border) {
      this.#unlisted.add(id);
      return;
    }
    this.#unlisted.delete(id);
    this.items.splice(this.#find(known.key), 0, known.conversation);
    known.isListed = true;
  }

  #unlist(known) {
    if (!known.isListed) return;
    this.items.splice(this.#find(known.key), 1);
    known.isListed = false;
  }

  #forget(id, known) {
    this.#unlist(known);
    this.#unlisted.delete(id);
    this.#known.delete(id);
  }

  /** Where a key stands or would stand. */
  #find(key) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const known = /** @type {Known} */ (this.#known.get(this.items[middle].conversation_id));
      if (known.key > key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The later of two messages; of the same one, the further version. */
function newest(one, other) {
  if (!one || !other) return one ?? other;
  if (one.message_id === other.message_id) return furtherMessage(one, other);
  return messageKey(one) > messageKey(other) ? one : other;
}
