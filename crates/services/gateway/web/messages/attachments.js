/**
 * Files to send: each is named by its address on the web, from which the carrier takes it.
 *
 * @module messages/attachments
 */

import { h, replace } from "../dom.js";
import { icon } from "./icons.js";
import { lastPart } from "./media.js";
import { webAddress } from "./text.js";

const MOST = 10;

export class Attachments {
  /** @type {string[]} */
  #urls = [];
  #onChange;

  /** @param {{ onChange: () => void }} options */
  constructor({ onChange }) {
    this.#onChange = onChange;
    const refusal = `attachment-refusal-${crypto.randomUUID()}`;
    this.#field = h("input", {
      type: "url",
      inputMode: "url",
      placeholder: "https://…",
      "aria-describedby": refusal,
      onkeydown: (event) => this.#onKey(event),
    });
    this.#refusal = h("p", { class: "error", id: refusal, role: "alert" });
    this.#chosen = h("ul", { class: "attachments", "aria-label": "Attached files" });
    this.#form = h(
      "div",
      { class: "attach", hidden: true },
      h("label", { class: "field" }, "Address of a picture or file", this.#field),
      h("button", { type: "button", class: "button", onclick: () => this.#add() }, "Attach"),
      h("button", { type: "button", class: "button", onclick: () => this.close() }, "Close"),
      this.#refusal,
    );
    this.button = h(
      "button",
      {
        type: "button",
        class: "icon",
        "aria-label": "Attach a file",
        "aria-expanded": "false",
        onclick: () => this.#toggle(),
      },
      icon("clip", 20),
    );
    this.element = h("div", { class: "attachment-area" }, this.#chosen, this.#form);
  }

  #field;
  #refusal;
  #chosen;
  #form;

  /** @returns {string[]} */
  get urls() {
    return [...this.#urls];
  }

  /** @param {string[]} urls */
  set urls(urls) {
    this.#urls = [...urls];
    this.#show();
  }

  close() {
    this.#form.hidden = true;
    this.#refusal.textContent = "";
    this.button.setAttribute("aria-expanded", "false");
  }

  #toggle() {
    if (!this.#form.hidden) return this.close();
    this.#form.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.#field.focus();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    this.#add();
  }

  #add() {
    const url = webAddress(this.#field.value.trim());
    const refusal = this.#refuse(url);
    this.#refusal.textContent = refusal ?? "";
    if (refusal) return this.#field.focus();
    this.#urls.push(url);
    this.#field.value = "";
    this.close();
    this.#show();
    this.#onChange();
  }

  /** @param {string | null} url */
  #refuse(url) {
    if (!url) return "Give an address that begins with https://.";
    if (this.#urls.includes(url)) return "This file is attached already.";
    return this.#urls.length >= MOST ? `A text takes at most ${MOST} files.` : null;
  }

  /** @param {string} url */
  #remove(url) {
    this.#urls = this.#urls.filter((other) => other !== url);
    this.#show();
    this.button.focus();
    this.#onChange();
  }

  #show() {
    const chip = (url) => {
      const name = lastPart(url);
      const remove = h(
        "button",
        {
          type: "button",
          "aria-label": `Remove ${name}`,
          onclick: () => this.#remove(url),
        },
        "✕",
      );
      return h("li", { class: "chip", title: url }, icon("clip"), h("span", null, name), remove);
    };
    replace(this.#chosen, this.#urls.map(chip));
    this.#chosen.hidden = this.#urls.length === 0;
  }
}
