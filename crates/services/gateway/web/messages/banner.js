/**
 * Why nothing can be sent into a conversation, and where its people are reached instead.
 *
 * @module messages/banner
 */

import { h } from "../dom.js";
import { consentWords, notSendableWords } from "../words.js";

/**
 * @param {any} conversation
 * @returns {HTMLElement | null} Null: there is nothing to say.
 */
export function showBanner(conversation) {
  const { sendable, reason, consent, newer_conversation_id: newer } = conversation;
  if (sendable) return null;
  const isOptedOut = reason === "recipient_opted_out" && consent;
  return h(
    "div",
    { class: "banner read-only-banner", role: "note" },
    h("p", null, isOptedOut ? consentWords(consent) : notSendableWords(reason)),
    isOptedOut ? h("p", { class: "quiet" }, "Nothing can be sent until texts are welcome again.") : null,
    newer ? h("p", null, h("a", { href: addressOf(newer) }, "Go on in the newer conversation")) : null,
  );
}

/**
 * Links to the conversations that this one goes on from.
 *
 * @param {any} conversation
 * @returns {HTMLElement | null}
 */
export function showOlder({ older_conversation_ids: older = [] }) {
  if (older.length === 0) return null;
  const words = (index) =>
    older.length === 1 ? "Read the earlier conversation" : `Read an earlier conversation (${index + 1})`;
  return h(
    "p",
    { class: "older quiet" },
    older.map((id, index) => h("a", { href: addressOf(id) }, words(index))),
  );
}

/**
 * The address of a conversation in the console.
 *
 * @param {string} conversationId
 * @returns {string}
 */
export function addressOf(conversationId) {
  return `#/messages/${encodeURIComponent(conversationId)}`;
}
