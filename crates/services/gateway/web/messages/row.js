/**
 * One conversation in the list.
 *
 * @module messages/row
 */

import { h, replace } from "../dom.js";
import {
  firstName,
  formatCount,
  formatKind,
  formatMoment,
  formatNumber,
  formatPeople,
  formatTime,
  initials,
} from "../format.js";
import { statusWords } from "../words.js";
import { icon } from "./icons.js";

/** In pixels, as in messages.css. */
export const ROW_HEIGHT = 76;

/**
 * Statuses that the last line tells of: nobody should have to open a conversation to see that a text did not
 * arrive.
 */
const TOLD = new Set(["failed", "undelivered", "unknown"]);

/**
 * Shows a conversation in its row.
 *
 * @param {HTMLElement} element
 * @param {any} conversation
 * @param {string | undefined} managerId Whose own lines begin with "You:".
 */
export function fillRow(element, conversation, managerId) {
  const { people, number, last_message: last, unread, sendable } = conversation;
  const at = last?.created_at ?? conversation.opened_at;
  element.classList.toggle("unread", unread > 0);
  element.classList.toggle("read-only", !sendable);
  replace(
    element,
    h("span", { class: "disc", "aria-hidden": "true" }, initials(people[0]?.name)),
    h(
      "span",
      { class: "row-text" },
      h(
        "span",
        { class: "row-head" },
        h("span", { class: "row-names" }, formatPeople(conversation)),
        sendable ? null : h("span", { class: "lock", title: "Read-only" }, icon("lock", 13)),
        sendable ? null : h("span", { class: "visually-hidden" }, "read-only"),
        h("time", { class: "row-time quiet", dateTime: at, title: formatMoment(at) }, formatTime(at)),
      ),
      h(
        "span",
        { class: "row-foot" },
        kindsOf(people).map((kind) => h("span", { class: `chip kind-${kind}` }, formatKind(kind))),
        h("span", { class: "row-line" }, lastLine(last, managerId) ?? formatNumber(number)),
        unread > 0 ? unreadMark(unread) : null,
      ),
    ),
  );
}

/**
 * The kinds of people in a conversation, each once.
 *
 * @param {{ kind: string }[]} people
 * @returns {string[]}
 */
export function kindsOf(people) {
  return [...new Set(people.map((person) => person.kind))];
}

/**
 * What was written last: "You: …", "Max: …", and for what came in the words alone.
 *
 * @param {any} message
 * @param {string | undefined} managerId
 * @returns {string | null} Null when nothing was written.
 */
export function lastLine(message, managerId) {
  if (!message) return null;
  const words = message.body || formatCount(message.media.length, "file");
  if (message.direction === "inbound") return words;
  const who = message.manager?.id === managerId ? "You" : firstName(message.manager?.name);
  const told = TOLD.has(message.status) ? `${statusWords(message.status)}. ` : "";
  return `${told}${who}: ${words}`;
}

/** @param {number} unread */
function unreadMark(unread) {
  const words = `${formatCount(unread, "unread message")}`;
  return h(
    "span",
    { class: "unread-mark" },
    h("span", { "aria-hidden": "true" }, unread > 99 ? "99+" : unread),
    h("span", { class: "visually-hidden" }, words),
  );
}
