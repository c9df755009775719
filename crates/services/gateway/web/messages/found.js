/**
 * Below the conversations: messages that were found by their words, and people with whom there is no
 * conversation yet.
 *
 * @module messages/found
 */

import { h, replace } from "../dom.js";
import { formatKind, formatList, formatMoment, formatNumber, formatTime, initials } from "../format.js";
import { problemWords } from "../words.js";
import { withMarks } from "./text.js";

const PAGE = 20;
/** One letter finds everything. */
const SHORTEST = 2;

/**
 * @typedef {object} FoundOptions
 * @property {import("../client.js").Client} client
 * @property {(conversationId: string, messageId: string) => void} onOpen
 * @property {(person: any) => void} onWrite
 * @property {() => any[]} conversations Those that show above.
 */

export class Found {
  #options;
  /** @type {AbortController | null} */
  #asking = null;
  #query = "";

  /** @param {FoundOptions} options */
  constructor(options) {
    this.#options = options;
    this.#people = h("ul", null);
    this.#messages = h("ul", null);
    this.#foot = h("p", { class: "found-foot quiet" });
    this.#peoplePart = h("section", { hidden: true }, h("h2", null, "People"), this.#people);
    this.element = h(
      "div",
      { class: "found", hidden: true },
      this.#peoplePart,
      h("section", null, h("h2", null, "Messages"), this.#messages, this.#foot),
    );
  }

  #people;
  #messages;
  #foot;
  #peoplePart;

  /**
   * Looks for a text. Short ones are not looked for.
   *
   * @param {string} query
   */
  async search(query) {
    this.close();
    this.#query = query;
    this.element.hidden = query.length < SHORTEST;
    replace(this.#messages);
    this.#showPeople([]);
    if (!this.element.hidden) await this.#load(null);
  }

  /** Answers that are on their way are not shown. */
  close() {
    this.#asking?.abort();
    this.#asking = null;
  }

  /** @param {string | null} cursor */
  async #load(cursor) {
    const { client } = this.#options;
    const { signal } = (this.#asking = new AbortController());
    replace(this.#foot, "Looking…");
    try {
      const page = await client.get("/v1/search", { q: this.#query, limit: PAGE, cursor }, { signal });
      if (signal.aborted) return;
      if (cursor === null) this.#showPeople(page.people);
      this.#append(
        page.items.map((found) => this.#message(found)),
        cursor !== null,
      );
      this.#showFoot(page.next_cursor);
    } catch (problem) {
      if (!signal.aborted) replace(this.#foot, problemWords(problem));
    }
  }

  /**
   * @param {HTMLElement[]} items
   * @param {boolean} isMore They were asked for by the button that is gone: the keyboard goes on at the
   *   first of them.
   */
  #append(items, isMore) {
    this.#messages.append(...items);
    if (isMore && document.activeElement === document.body) items[0]?.querySelector("button")?.focus();
  }

  /** @param {string | null} cursor */
  #showFoot(cursor) {
    const more = h(
      "button",
      { type: "button", class: "button", onclick: () => this.#load(cursor) },
      "More messages",
    );
    replace(
      this.#foot,
      cursor ? more : this.#messages.childElementCount === 0 && "No message has these words.",
    );
  }

  /** People that no conversation above names. */
  #showPeople(people) {
    const named = new Set(
      this.#options.conversations().flatMap(({ people }) => people.map((person) => person.person_id)),
    );
    const others = people.filter((person) => person.phones.length > 0 && !named.has(person.person_id));
    replace(
      this.#people,
      others.map((person) => this.#person(person)),
    );
    this.#peoplePart.hidden = others.length === 0;
  }

  /** @param {any} person */
  #person(person) {
    return h(
      "li",
      null,
      h(
        "button",
        { type: "button", class: "found-item", onclick: () => this.#options.onWrite(person) },
        h("span", { class: "disc", "aria-hidden": "true" }, initials(person.name)),
        h(
          "span",
          { class: "found-text" },
          h("span", { class: "found-head" }, h("span", { class: "row-names" }, person.name)),
          h(
            "span",
            { class: "quiet" },
            `${formatKind(person.kind)}, ${formatNumber(person.phones[0])}. Write to them`,
          ),
        ),
      ),
    );
  }

  /** @param {{ message: any, people: any[] }} found */
  #message({ message, people }) {
    const names =
      formatList(people.map((person) => person.name)) ||
      formatNumber(message.direction === "inbound" ? message.from : message.to);
    const at = message.created_at;
    return h(
      "li",
      null,
      h(
        "button",
        {
          type: "button",
          class: "found-item",
          onclick: () => this.#options.onOpen(message.conversation_id, message.message_id),
        },
        h(
          "span",
          { class: "found-text" },
          h(
            "span",
            { class: "found-head" },
            h("span", { class: "row-names" }, names),
            h("time", { class: "row-time quiet", dateTime: at, title: formatMoment(at) }, formatTime(at)),
          ),
          h(
            "span",
            { class: "found-body" },
            message.manager ? `${message.manager.name}: ` : null,
            withMarks(message.body, this.#query),
          ),
        ),
      ),
    );
  }
}
