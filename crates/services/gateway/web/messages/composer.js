/**
 * Where a text is written: how long it is, what goes with it, and when it goes.
 *
 * What was begun stays with its conversation when another one is opened.
 *
 * @module messages/composer
 */

import { note } from "../dialog.js";
import { h } from "../dom.js";
import { formatMoment } from "../format.js";
import { problemWords } from "../words.js";
import { Attachments } from "./attachments.js";
import { icon } from "./icons.js";
import { LengthLine } from "./length.js";
import { TimeField, nextHour } from "./schedule.js";

/** In pixels; then it scrolls. */
const HIGHEST = 240;

/**
 * @typedef {object} ComposerOptions
 * @property {string} conversationId
 * @property {import("../store.js").Store} store
 * @property {import("./drafts.js").Drafts} drafts
 */

export class Composer {
  #options;
  #isScheduling = false;

  /** @param {ComposerOptions} options */
  constructor(options) {
    this.#options = options;
    const hint = `composer-hint-${crypto.randomUUID()}`;
    this.#field = h("textarea", {
      rows: 1,
      dir: "auto",
      placeholder: "Write a text",
      enterKeyHint: "send",
      "aria-label": "Text",
      "aria-describedby": hint,
      oninput: () => this.#onInput(),
      onkeydown: (event) => this.#onKey(event),
    });
    this.#length = new LengthLine(this.#field);
    this.#attachments = new Attachments({ onChange: () => this.#onInput() });
    this.#time = new TimeField();
    this.#later = h("div", { class: "later", hidden: true }, this.#time.element, this.#atOnce());
    this.#send = h("button", { type: "submit", class: "button primary" }, "Send");
    this.#clock = h(
      "button",
      {
        type: "button",
        class: "icon",
        "aria-label": "Send later",
        "aria-expanded": "false",
        onclick: () => this.#schedule(!this.#isScheduling),
      },
      icon("clock", 20),
    );
    this.element = h(
      "form",
      {
        class: "composer",
        "aria-label": "Write",
        noValidate: true,
        onsubmit: (event) => this.#onSubmit(event),
      },
      this.#attachments.element,
      this.#later,
      h("div", { class: "composer-row" }, this.#attachments.button, this.#clock, this.#field, this.#send),
      h(
        "div",
        { class: "composer-foot" },
        this.#length.element,
        h("p", { class: "hint quiet", id: hint }, "Enter sends, Shift+Enter breaks the line."),
      ),
    );
    const draft = options.drafts.get(options.conversationId);
    this.#fill(draft.body, draft.mediaUrls);
  }

  #field;
  #length;
  #attachments;
  #time;
  #later;
  #send;
  #clock;

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /** Makes the field as high as its text, once it is in the page. */
  fit() {
    this.#field.style.height = "auto";
    // The border is not part of what scrolls.
    const border = this.#field.offsetHeight - this.#field.clientHeight;
    this.#field.style.height = `${Math.min(this.#field.scrollHeight + border, HIGHEST)}px`;
  }

  /**
   * Takes a text back that was not sent. What was begun meanwhile stays below it.
   *
   * @param {{ body: string, media_urls?: string[] }} text
   */
  takeBack({ body, media_urls: mediaUrls = [] }) {
    const begun = this.#field.value;
    this.#fill(begun ? `${body}\n${begun}` : body, [...new Set([...mediaUrls, ...this.#attachments.urls])]);
    this.#onInput();
    this.focus();
  }

  /**
   * @param {string} body
   * @param {string[]} mediaUrls
   */
  #fill(body, mediaUrls) {
    this.#field.value = body;
    this.#attachments.urls = mediaUrls;
    this.#length.update();
    this.fit();
  }

  #atOnce() {
    return h(
      "button",
      { type: "button", class: "button", onclick: () => this.#schedule(false) },
      "Send at once instead",
    );
  }

  /** @param {boolean} isScheduling */
  #schedule(isScheduling) {
    this.#isScheduling = isScheduling;
    this.#later.hidden = !isScheduling;
    this.#clock.setAttribute("aria-expanded", String(isScheduling));
    this.#send.textContent = isScheduling ? "Schedule" : "Send";
    this.#time.value = isScheduling ? nextHour() : null;
    if (isScheduling) this.#time.focus();
    else this.focus();
  }

  #onInput() {
    const { drafts, conversationId } = this.#options;
    drafts.keep(conversationId, { body: this.#field.value, mediaUrls: this.#attachments.urls });
    this.#length.update();
    this.fit();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    // An Enter that ends a composition (Japanese, Chinese, …) belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  /** @param {SubmitEvent} event */
  #onSubmit(event) {
    event.preventDefault();
    const text = { body: this.#field.value, media_urls: this.#attachments.urls };
    if (text.body.trim() === "" && text.media_urls.length === 0) return this.focus();
    if (this.#isScheduling) return this.#sendLater(text);
    this.#clear();
    // What becomes of it stands in the thread, also when it is refused.
    this.#options.store.send(this.#options.conversationId, text).catch(() => {});
  }

  /** @param {{ body: string, media_urls: string[] }} text */
  async #sendLater(text) {
    if (!this.#time.check()) return;
    const at = this.#time.value;
    this.#send.disabled = true;
    try {
      await this.#options.store.send(this.#options.conversationId, {
        ...text,
        send_at: at.toISOString(),
      });
      this.#clear();
      this.#schedule(false);
      note(`Scheduled: ${formatMoment(at)}.`);
    } catch (problem) {
      note(problemWords(problem), { isError: true });
    } finally {
      this.#send.disabled = false;
    }
  }

  #clear() {
    this.#attachments.close();
    this.#fill("", []);
    this.#onInput();
  }
}
