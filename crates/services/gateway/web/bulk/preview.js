/**
 * What a send would do: who gets which text, who gets none and why, and until about when.
 *
 * @module bulk/preview
 */

import { h, replace } from "../dom.js";
import { formatCount, formatNumber, formatMoment } from "../format.js";
import { rejectionWords, waitingReasonWords } from "../words.js";
import { idOf } from "./draft.js";

const FIRST_TEXTS = 3;
const MORE_TEXTS = 20;

/**
 * @typedef {object} Preview As `POST /v1/messages/preview` answers.
 * @property {{ recipient: object, to: string, body: string, segments: number }[]} messages
 * @property {{ recipient: object, code: string, detail: string }[]} rejected
 * @property {number} duplicates
 * @property {number} segments
 * @property {string | null} finish_at
 * @property {string | null} held_by
 */

/**
 * In a sentence or two: how much it is, and when it is done.
 *
 * @param {Preview} preview
 * @param {Date | null} sendAt
 * @returns {string}
 */
export function previewWords(preview, sendAt) {
  return [sum(preview), whenDone(preview, sendAt)].filter(Boolean).join(" ");
}

/**
 * Who gets which text, and who gets none.
 *
 * @param {Preview} preview
 * @param {import("./draft.js").Draft} draft What it is of, for the names.
 * @returns {HTMLElement}
 */
export function previewPanel({ messages, rejected }, draft) {
  return h(
    "div",
    { class: "preview" },
    rejected.length > 0 && rejections(rejected, draft),
    messages.length > 0 && texts(messages, draft),
  );
}

/** @param {Preview} preview */
function sum({ messages, segments }) {
  if (messages.length === 0) return "Nobody would get a message.";
  return `${formatCount(messages.length, "message")}, ${formatCount(segments, "segment")} in all.`;
}

/**
 * @param {Preview} preview
 * @param {Date | null} sendAt
 */
function whenDone({ messages, finish_at, held_by }, sendAt) {
  if (messages.length === 0) return null;
  if (sendAt) return `They go out from ${formatMoment(sendAt)} on. It is checked again then who gets one.`;
  const held = held_by === null ? null : `${waitingReasonWords(held_by)}.`;
  return [held, finish_at && `The last one goes out at about ${formatMoment(finish_at)}.`]
    .filter(Boolean)
    .join(" ");
}

/**
 * Those who get nothing, each with the reason.
 *
 * @param {{ recipient: object, code: string, detail: string }[]} rejected
 * @param {import("./draft.js").Draft} draft
 * @returns {HTMLElement}
 */
export function rejections(rejected, draft) {
  const people = formatCount(rejected.length, "person gets", "people get");
  return h(
    "details",
    { class: "rejections", open: rejected.length <= 5 },
    h("summary", null, `${people} no message of their own`),
    h(
      "ul",
      null,
      rejected.map((rejection) =>
        h(
          "li",
          null,
          h("strong", null, nameOf(rejection.recipient, draft)),
          " – ",
          rejectionWords(rejection),
        ),
      ),
    ),
  );
}

function texts(messages, draft) {
  const list = h("ol", { class: "preview-texts" });
  const more = h("button", { type: "button", class: "small", onclick: () => showMore(MORE_TEXTS) });
  const showMore = (count) => {
    const from = list.childElementCount;
    list.append(...messages.slice(from, from + count).map((message) => text(message, draft)));
    const left = messages.length - list.childElementCount;
    more.hidden = left === 0;
    replace(more, `Show ${formatCount(Math.min(left, MORE_TEXTS), "more text")}`);
  };
  showMore(FIRST_TEXTS);
  return h("div", null, h("h4", null, "As they will read"), list, more);
}

function text({ recipient, to, body, segments }, draft) {
  return h(
    "li",
    null,
    h(
      "p",
      { class: "quiet" },
      `${nameOf(recipient, draft)}, ${formatNumber(to)}, ${formatCount(segments, "segment")}`,
    ),
    h("p", { class: "preview-text" }, body),
  );
}

function nameOf(recipient, draft) {
  const id = idOf(recipient);
  return draft.find(id)?.name ?? id;
}
