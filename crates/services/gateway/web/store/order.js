/**
 * What comes before what, and which of two versions of a message is the newer one.
 *
 * @module store/order
 */

/** As in crates/libs/domain/src/status.rs: a status never goes backwards. */
const RANKS = { queued: 0, unknown: 10, canceled: 20, sending: 30, sent: 40 };
const LAST_RANK = 50;

/**
 * A time as text that sorts. The API leaves out fractions that are zero, so its own text does not.
 *
 * @param {string} time RFC 3339 in UTC.
 * @returns {string}
 */
export function sortableTime(time) {
  const [whole, fraction = ""] = time.slice(0, -1).split(".");
  return `${whole}.${fraction.padEnd(9, "0")}`;
}

/**
 * Where a message stands in its conversation: by its time, then by its id, as the API lists them.
 *
 * @param {import("../client.js").Message} message
 * @returns {string}
 */
export function messageKey(message) {
  return `${sortableTime(message.created_at)} ${message.message_id}`;
}

/**
 * Where a conversation stands in the list: by its last message.
 *
 * @param {import("../client.js").Conversation} conversation
 * @returns {string}
 */
export function conversationKey(conversation) {
  const time = conversation.last_message?.created_at ?? conversation.opened_at;
  return `${sortableTime(time)} ${conversation.conversation_id}`;
}

/**
 * Where it stood when it was opened.
 *
 * @param {import("../client.js").Conversation} conversation
 * @returns {string}
 */
export function openingKey(conversation) {
  return `${sortableTime(conversation.opened_at)} ${conversation.conversation_id}`;
}

/**
 * The one of two versions that is further. Answers and the feed overtake each other.
 *
 * @param {import("../client.js").Message | undefined} known
 * @param {import("../client.js").Message} other
 * @returns {import("../client.js").Message}
 */
export function furtherMessage(known, other) {
  return known !== undefined && rank(known) > rank(other) ? known : other;
}

function rank({ status }) {
  return RANKS[status] ?? LAST_RANK;
}
