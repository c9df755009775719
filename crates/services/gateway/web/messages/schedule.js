/**
 * Texts for later: the field for their time, and those of a conversation that wait.
 *
 * @module messages/schedule
 */

import { note, openDialog } from "../dialog.js";
import { h, replace } from "../dom.js";
import { formatMoment } from "../format.js";
import { problemWords } from "../words.js";
import { icon } from "./icons.js";
import { LengthLine } from "./length.js";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** As the API has it. */
const MOST_DAYS = 60;

/** A field for a date and a time in the reader's own time zone. */
export class TimeField {
  /** @param {{ onChange?: () => void }} [options] */
  constructor({ onChange = () => {} } = {}) {
    const refusal = `time-refusal-${crypto.randomUUID()}`;
    this.#input = h("input", { type: "datetime-local", "aria-describedby": refusal, oninput: onChange });
    this.#refusal = h("span", { class: "error", id: refusal, role: "alert" });
    this.element = h(
      "label",
      { class: "field" },
      `Send at (your time, ${timeZone()})`,
      this.#input,
      this.#refusal,
    );
  }

  #input;
  #refusal;

  /** @param {Date | null} date */
  set value(date) {
    this.#input.value = date ? toLocal(date) : "";
    this.#input.min = toLocal(new Date(Date.now() + MINUTE_MS));
    this.#input.max = toLocal(new Date(Date.now() + MOST_DAYS * DAY_MS));
    this.#refusal.textContent = "";
  }

  /** @returns {Date | null} Null: nothing, or nothing whole, is in it. */
  get value() {
    const date = new Date(this.#input.value);
    return Number.isNaN(date.getTime()) ? null : date;
  }

  /** Says what is wrong with the time, if anything is. @returns {boolean} Whether it can be used. */
  check() {
    const refusal = refuse(this.value);
    this.#refusal.textContent = refusal ?? "";
    if (refusal) this.focus();
    return refusal === null;
  }

  focus() {
    this.#input.focus();
  }
}

/**
 * @param {Date | null} date
 * @param {number} [now]
 * @returns {string | null}
 */
export function refuse(date, now = Date.now()) {
  if (!date) return "Choose a day and a time.";
  if (date.getTime() <= now) return "This time is over.";
  return date.getTime() > now + MOST_DAYS * DAY_MS ? `Choose a time within ${MOST_DAYS} days.` : null;
}

/**
 * When most people schedule for: the next full hour that is at least an hour away.
 *
 * @param {number} [now]
 * @returns {Date}
 */
export function nextHour(now = Date.now()) {
  const date = new Date(now + 60 * MINUTE_MS);
  date.setMinutes(60, 0, 0);
  return date;
}

/** The scheduled texts of a conversation, soonest first. */
export class ScheduledList {
  #store;

  /** @param {import("../store.js").Store} store */
  constructor(store) {
    this.#store = store;
    this.element = h("section", { class: "scheduled", "aria-label": "Scheduled texts", hidden: true });
  }

  /** @param {any[]} sends */
  show(sends) {
    this.element.hidden = sends.length === 0;
    replace(
      this.element,
      h(
        "ul",
        null,
        sends.map((send) => this.#row(send)),
      ),
    );
  }

  /** @param {any} send */
  #row(send) {
    const when = formatMoment(send.send_at);
    return h(
      "li",
      null,
      icon("clock"),
      h("span", { class: "scheduled-time" }, when),
      h("span", { class: "scheduled-body", title: send.body ?? "" }, send.body || "A file"),
      h(
        "button",
        {
          type: "button",
          class: "link",
          "aria-label": `Change the text of ${when}`,
          onclick: () => openChange(this.#store, send),
        },
        "Change",
      ),
      h(
        "button",
        {
          type: "button",
          class: "link",
          "aria-label": `Cancel the text of ${when}`,
          onclick: (event) => this.#cancel(send, event.currentTarget),
        },
        "Cancel",
      ),
    );
  }

  /**
   * @param {any} send
   * @param {HTMLButtonElement} button
   */
  async #cancel(send, button) {
    button.disabled = true;
    try {
      await this.#store.cancelScheduled(send.scheduled_id);
      note("Canceled. It is not sent.");
    } catch (problem) {
      button.disabled = false;
      note(problemWords(problem), { isError: true });
    }
  }
}

/**
 * @param {import("../store.js").Store} store
 * @param {any} send
 */
function openChange(store, send) {
  const body = h("textarea", { rows: 4, value: send.body ?? "", oninput: () => length.update() });
  const length = new LengthLine(body);
  const time = new TimeField();
  time.value = new Date(send.send_at);
  const refusal = h("p", { class: "error", role: "alert" });
  const confirm = h("button", { type: "submit", class: "button primary" }, "Save");
  const submit = async (event) => {
    event.preventDefault();
    if (!time.check()) return;
    confirm.disabled = true;
    try {
      await store.changeScheduled(send.scheduled_id, {
        body: body.value,
        send_at: time.value.toISOString(),
      });
      dialog.close();
    } catch (problem) {
      refusal.textContent = problemWords(problem);
      confirm.disabled = false;
    }
  };
  const cancel = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel");
  const form = h(
    "form",
    { onsubmit: submit, noValidate: true },
    h("label", { class: "field" }, "Text", body),
    length.element,
    time.element,
    refusal,
    h("footer", null, cancel, confirm),
  );
  const dialog = openDialog({ title: "Change a scheduled text", content: [form] });
  length.update();
  body.focus();
}

/** `America/New_York` reads "New York time". */
function timeZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
  return zone === "UTC" ? "UTC" : `${zone.split("/").at(-1).replaceAll("_", " ")} time`;
}

/** As the field has it: `2026-03-02T15:00`, in local time. */
function toLocal(date) {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * MINUTE_MS);
  return local.toISOString().slice(0, 16);
}
