/**
 * What stands in a thread: bubbles, lines in the middle, and the days between.
 *
 * @module messages/bubble
 */

import { h } from "../dom.js";
import { formatClock, formatDay, formatMoment } from "../format.js";
import { callWords, eventWords, problemWords } from "../words.js";
import { isNotable } from "./delivery.js";
import { icon } from "./icons.js";
import { withLinks } from "./text.js";

/**
 * @typedef {object} BubbleContext What bubbles of one thread share.
 * @property {import("./media.js").MediaShelf} media
 * @property {import("./delivery.js").Deliveries} deliveries
 * @property {{ name: string }} manager Who is signed in.
 * @property {() => string} senderName Who writes what comes in.
 * @property {(item: any) => void} onEdit Takes a text that was not sent back into the composer.
 */

/**
 * @typedef {object} Grouping How an item stands to its neighbours.
 * @property {boolean} follows The same sender wrote the one before, in the same minute.
 * @property {boolean} goesOn The same sender wrote the one after, in the same minute.
 */

/**
 * The line above the first item of a day.
 *
 * @param {Date} day
 * @returns {HTMLElement}
 */
export function dayDivider(day) {
  return h("h3", { class: "day" }, formatDay(day));
}

/**
 * An item of the thread.
 *
 * @param {any} item
 * @param {Grouping} grouping
 * @param {BubbleContext} context
 * @returns {HTMLElement}
 */
export function showItem(item, grouping, context) {
  switch (item.kind) {
    case "message":
      return showMessage(item.data, grouping, context);
    case "pending":
      return showPending(item.data, grouping, context);
    case "call":
      return line("call", icon("phone"), callWords(item.data), item.at);
    default:
      return line("event", null, `${eventWords(item.data)} · ${formatClock(item.at)}`, item.at);
  }
}

/**
 * Whether two items stand together: one sender, one minute.
 *
 * @param {any} one
 * @param {any} other
 * @param {string} managerId Who is signed in, and sends what is pending.
 * @returns {boolean}
 */
export function isSameGroup(one, other, managerId) {
  if (!one || !other) return false;
  const sender = senderOf(one, managerId);
  if (sender === null || sender !== senderOf(other, managerId)) return false;
  return Math.floor(one.at.getTime() / 60_000) === Math.floor(other.at.getTime() / 60_000);
}

/** Null: nobody wrote it. */
function senderOf({ kind, data }, managerId) {
  if (kind === "pending") return `manager ${managerId}`;
  if (kind !== "message") return null;
  return data.direction === "inbound" ? "them" : `manager ${data.manager?.id}`;
}

/**
 * @param {any} message
 * @param {Grouping} grouping
 * @param {BubbleContext} context
 */
function showMessage(message, grouping, context) {
  const isOut = message.direction === "outbound";
  const isLast = !grouping.goesOn || (isOut && isNotable(message));
  return h(
    "article",
    {
      class: classOf(isOut ? "out" : "in", grouping),
      "data-id": message.message_id,
      "aria-label": labelOf(message, context),
    },
    grouping.follows || !isOut ? null : h("p", { class: "sender quiet" }, message.manager?.name),
    bubble(message.body, message.media, context),
    isLast
      ? h(
          "p",
          { class: "meta quiet" },
          h(
            "time",
            { dateTime: message.created_at, title: formatMoment(message.created_at) },
            formatClock(message.created_at),
          ),
          isOut ? context.deliveries.show(message) : null,
        )
      : null,
  );
}

/**
 * @param {any} pending
 * @param {Grouping} grouping
 * @param {BubbleContext} context
 */
function showPending(pending, grouping, context) {
  const media = (pending.media_urls ?? []).map((url) => ({
    url,
    media_id: null,
    state: null,
    content_type: null,
  }));
  return h(
    "article",
    { class: `${classOf("out", grouping)} pending ${pending.state}`, "aria-label": context.manager.name },
    grouping.follows ? null : h("p", { class: "sender quiet" }, context.manager.name),
    bubble(pending.body, media, context),
    pending.state === "failed"
      ? showFailure(pending, context)
      : h("p", { class: "meta quiet" }, icon("clock"), " Sending…"),
  );
}

/**
 * Why a text was not taken, and what can be done with it.
 *
 * @param {any} pending
 * @param {BubbleContext} context
 */
function showFailure(pending, context) {
  const movedOn = pending.problem?.code === "conversation_moved_on";
  const edit = () => {
    context.onEdit(pending);
    pending.discard();
  };
  return h(
    "div",
    { class: "failure", role: "group", "aria-label": "Not sent" },
    h("p", null, icon("warning"), " Not sent. ", problemWords(pending.problem)),
    h("button", { type: "button", onclick: () => pending.retry() }, movedOn ? "Send anyway" : "Try again"),
    h("button", { type: "button", onclick: edit }, "Edit"),
    h("button", { type: "button", onclick: () => pending.discard() }, "Discard"),
  );
}

/**
 * @param {string} body
 * @param {import("./media.js").Medium[]} media
 * @param {BubbleContext} context
 */
function bubble(body, media, context) {
  return h(
    "div",
    { class: "bubble" },
    body ? h("p", { class: "body", dir: "auto" }, withLinks(body)) : null,
    (media ?? []).map((medium) => context.media.show(medium)),
  );
}

/**
 * @param {string} direction
 * @param {Grouping} grouping
 */
function classOf(direction, { follows, goesOn }) {
  return `message ${direction}${follows ? " follows" : ""}${goesOn ? " goes-on" : ""}`;
}

/** For those who hear a list of bubbles: who and when. */
function labelOf(message, context) {
  const who = message.direction === "inbound" ? context.senderName() : message.manager?.name;
  return `${who ?? ""}, ${formatClock(message.created_at)}`;
}

/**
 * @param {string} kind
 * @param {SVGSVGElement | null} picture
 * @param {string} words
 * @param {Date} at
 */
function line(kind, picture, words, at) {
  return h(
    "p",
    { class: `line quiet ${kind}`, title: formatMoment(at) },
    picture,
    picture ? " " : null,
    words,
  );
}
