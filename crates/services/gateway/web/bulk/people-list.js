/**
 * People to choose from: a search, the kinds, and a list that goes on while it is scrolled.
 *
 * @module bulk/people-list
 */

import { h, replace } from "../dom.js";
import { formatCount, formatKind, formatNumber, initials } from "../format.js";
import { problemWords } from "../words.js";

/**
 * @typedef {{ person_id: string, kind: string, name: string, phones: string[] }} Person
 */

const KINDS = ["tenant", "lead", "vendor", "owner"];
const PAGE_SIZE = 50;
const LARGEST_PAGE = 200;
/** Those who type want one search, not one for each letter. */
const TYPING_PAUSE_MS = 250;

/** The search, the kinds and the list, in `element`. */
export class PeopleList {
  #client;
  #many;
  #isChosen;
  #onchoose;
  #onlist;
  #groupName = `people-${crypto.randomUUID()}`;
  /** @type {Map<string, { person: Person, input: HTMLInputElement }>} */
  #rows = new Map();
  /** @type {string | null} */
  #cursor = null;
  #loading = new AbortController();
  #closing = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  /** Stands after the last row: when it comes into view, the next page is loaded. */
  #end = h("div", { class: "people-end" });
  /** @type {IntersectionObserver} */
  #watcher;

  /**
   * @param {{
   *   store: import("../store.js").Store,
   *   many: boolean,
   *   isChosen?: (person: Person) => boolean,
   *   onchoose: (person: Person, chosen: boolean) => void,
   *   onlist?: () => void,
   * }} options
   *   `many`: check boxes, of those who can be texted; else radio buttons, of all. `onlist`: other people are shown.
   */
  constructor({ store, many, isChosen = (_person) => false, onchoose, onlist = () => {} }) {
    this.#client = store.client;
    this.#many = many;
    this.#isChosen = isChosen;
    this.#onchoose = onchoose;
    this.#onlist = onlist;
    this.search = h("input", {
      type: "search",
      id: `${this.#groupName}-search`,
      placeholder: "Search by name",
      autocomplete: "off",
      "aria-label": "Search people by name",
      oninput: () => this.#startSoon(TYPING_PAUSE_MS),
      onkeydown: (event) => {
        if (event.key !== "Enter") return;
        // The form around it is not meant.
        event.preventDefault();
        this.#startSoon(0);
      },
    });
    this.kinds = this.#buildKinds();
    this.rows = h("ul");
    this.list = h(
      "div",
      {
        class: "people-list",
        role: "group",
        "aria-label": "People",
        onkeydown: (event) => this.#moveFocus(event),
      },
      this.rows,
      this.#end,
    );
    this.status = h("p", { class: "quiet people-status", role: "status" });
    this.#watcher = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) void this.#loadMore();
      },
      { root: this.list, rootMargin: "200px" },
    );
    this.element = h("div", { class: "people" }, this.search, this.kinds, this.list, this.status);
    store.addEventListener("person", (event) => this.#take(event.detail), { signal: this.#closing.signal });
    void this.#start();
  }

  /** Those who are shown and can be texted. @returns {Person[]} */
  get shown() {
    return [...this.#rows.values()].filter(({ input }) => !input.disabled).map(({ person }) => person);
  }

  /** There are more than those who are shown. */
  get hasMore() {
    return this.#cursor !== null;
  }

  /** Check boxes as the choice is now. */
  refresh() {
    for (const { person, input } of this.#rows.values()) input.checked = this.#isChosen(person);
  }

  /**
   * All who match the search and the kind, page by page.
   *
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<Person[]>}
   */
  async *matching(signal) {
    const query = { ...this.#query, limit: LARGEST_PAGE };
    for await (const page of this.#client.pages("/v1/people", query, { signal })) {
      yield page.items.filter((person) => person.phones.length > 0);
    }
  }

  /** Stops what is going on. */
  close() {
    clearTimeout(this.#typing);
    this.#loading.abort();
    this.#closing.abort();
    this.#watcher.disconnect();
  }

  #buildKinds() {
    const option = (value, label) =>
      h(
        "label",
        { class: "chip choice" },
        h("input", {
          type: "radio",
          name: `${this.#groupName}-kind`,
          value,
          checked: value === "",
          class: "visually-hidden",
          onchange: () => this.#start(),
        }),
        label,
      );
    return h(
      "fieldset",
      { class: "kinds" },
      h("legend", { class: "visually-hidden" }, "Which people"),
      option("", "Everybody"),
      KINDS.map((kind) => option(kind, `${formatKind(kind)}s`)),
    );
  }

  /** What is searched for. Null is left out of an address. */
  get #query() {
    const kind = /** @type {HTMLInputElement} */ (this.kinds.querySelector("input:checked")).value;
    return { query: this.search.value.trim() || null, kind: kind || null };
  }

  /** @param {number} delay Milliseconds. */
  #startSoon(delay) {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => void this.#start(), delay);
  }

  async #start() {
    this.#loading.abort();
    this.#loading = new AbortController();
    this.#cursor = null;
    await this.#load(true);
  }

  async #loadMore() {
    if (this.#cursor !== null) await this.#load(false);
  }

  /** @param {boolean} isFirst */
  async #load(isFirst) {
    const { signal } = this.#loading;
    const cursor = this.#cursor;
    // Nobody else loads this page.
    this.#cursor = null;
    this.#watcher.unobserve(this.#end);
    try {
      const page = await this.#client.get(
        "/v1/people",
        { ...this.#query, limit: PAGE_SIZE, cursor },
        { signal },
      );
      if (signal.aborted) return;
      this.#cursor = page.next_cursor;
      if (isFirst) {
        this.#rows.clear();
        replace(this.rows);
        this.list.scrollTop = 0;
      }
      for (const person of page.items) this.rows.append(this.#buildRow(person));
      this.#keepTabStop();
      if (this.#cursor !== null) this.#watcher.observe(this.#end);
      this.#tell();
    } catch (problem) {
      if (signal.aborted) return;
      this.#cursor = cursor;
      replace(
        this.status,
        `${problemWords(problem)} `,
        h("button", { type: "button", class: "small", onclick: () => this.#load(isFirst) }, "Try again"),
      );
    }
  }

  /** A person who is shown has another name or number now. @param {Person} person */
  #take(person) {
    const row = this.#rows.get(person.person_id)?.input.closest("li");
    if (!row || row.contains(document.activeElement)) return;
    row.replaceWith(this.#buildRow(person));
    this.#keepTabStop();
  }

  #tell() {
    const count = this.#rows.size;
    const more = this.#cursor === null ? "" : " so far; there are more below";
    const { query, kind } = this.#query;
    const none = query || kind ? "Nobody matches." : "There are no people yet.";
    this.status.textContent = count === 0 ? none : `${formatCount(count, "person", "people")}${more}.`;
    this.#onlist();
  }

  /** @param {Person} person */
  #buildRow(person) {
    const [phone] = person.phones;
    const input = h("input", {
      type: this.#many ? "checkbox" : "radio",
      name: this.#groupName,
      checked: this.#isChosen(person),
      disabled: this.#many && phone === undefined,
      onchange: () => this.#onchoose(person, input.checked),
    });
    if (this.#many) input.tabIndex = -1;
    this.#rows.set(person.person_id, { person, input });
    return h(
      "li",
      null,
      h(
        "label",
        { class: "person-row" },
        input,
        h("span", { class: "disc", "aria-hidden": "true" }, initials(person.name)),
        h("span", { class: "person-name" }, person.name),
        h(
          "span",
          { class: "quiet person-phone" },
          phone === undefined ? "No phone number" : formatNumber(phone),
        ),
        h("span", { class: "chip" }, formatKind(person.kind)),
      ),
    );
  }

  get #inputs() {
    const all = /** @type {NodeListOf<HTMLInputElement>} */ (
      this.rows.querySelectorAll("input:not(:disabled)")
    );
    return [...all];
  }

  /** The list is one tab stop. Radio buttons are so by themselves. */
  #keepTabStop() {
    const inputs = this.#inputs;
    if (inputs.length > 0 && inputs.every((input) => input.tabIndex < 0)) inputs[0].tabIndex = 0;
  }

  /** Arrow keys move in the list, space chooses. */
  #moveFocus(event) {
    if (!this.#many) return;
    const inputs = this.#inputs;
    const at = inputs.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: inputs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = inputs[Math.min(Math.max(to, 0), inputs.length - 1)];
    for (const input of inputs) input.tabIndex = input === next ? 0 : -1;
    next.focus();
  }
}
