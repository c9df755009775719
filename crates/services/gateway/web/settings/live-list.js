/**
 * A list of the API that is loaded page by page and fetched again when something in it has changed.
 *
 * @module settings/live-list
 */

import { h, replace } from "../dom.js";
import { problemWords } from "../words.js";

const PAGE_SIZE = 20;
const LARGEST_PAGE = 200;
/** Changes come in rows: they are fetched once. */
const REFRESH_PAUSE_MS = 300;

/** The list, in `element`. */
export class LiveList {
  #load;
  #row;
  #empty;
  #signal;
  #isShown = false;
  #count = 0;
  /** @type {string | null} */
  #cursor = null;
  /** The newest fetch: what an older one brings is not shown. */
  #fetches = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #soon;

  /**
   * @param {{
   *   load: (query: { limit: number, cursor?: string }) => Promise<{ items: any[], next_cursor: string | null }>,
   *   row: (item: any) => HTMLElement,
   *   empty: string,
   *   signal: AbortSignal,
   * }} options `empty`: what to say when there is nothing.
   */
  constructor({ load, row, empty, signal }) {
    this.#load = load;
    this.#row = row;
    this.#empty = empty;
    this.#signal = signal;
    this.list = h("ul", { class: "entries" });
    this.status = h("p", { class: "empty", role: "status" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#fetch(false) }, "Show more");
    this.element = h("div", null, this.status, this.list, this.more);
    signal.addEventListener("abort", () => clearTimeout(this.#soon));
  }

  /** Somebody looks at it: it is loaded, or fetched again. */
  show() {
    if (this.#isShown) return this.refresh();
    this.#isShown = true;
    this.status.textContent = "Loading…";
    void this.#fetch(true);
  }

  /** Fetches what is shown again, soon. */
  refresh() {
    if (!this.#isShown) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#fetch(true), REFRESH_PAUSE_MS);
  }

  /** @param {boolean} anew As many as are shown, from the first on; else the next page. */
  async #fetch(anew) {
    const fetch = (this.#fetches += 1);
    this.more.disabled = true;
    try {
      const limit = anew ? Math.min(Math.max(this.#count, PAGE_SIZE), LARGEST_PAGE) : PAGE_SIZE;
      const page = await this.#load({
        limit,
        ...(!anew && this.#cursor !== null && { cursor: this.#cursor }),
      });
      if (fetch !== this.#fetches) return;
      if (anew) this.#replaceRows(page.items);
      else this.list.append(...page.items.map(this.#row));
      this.#count = this.list.childElementCount;
      this.#cursor = page.next_cursor;
      this.status.textContent = this.#empty;
      this.status.hidden = this.#count > 0;
      this.more.hidden = this.#cursor === null;
    } catch (problem) {
      if (this.#signal.aborted || fetch !== this.#fetches) return;
      replace(
        this.status,
        `${problemWords(problem)} `,
        h("button", { type: "button", class: "small", onclick: () => this.#fetch(anew) }, "Try again"),
      );
      this.status.hidden = false;
    } finally {
      this.more.disabled = false;
    }
  }

  /** The focus stays at its place of the list. */
  #replaceRows(items) {
    const rows = [...this.list.children];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    replace(this.list, items.map(this.#row));
    if (at < 0) return;
    const row = this.list.children[Math.min(at, this.list.childElementCount - 1)];
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector("a, button"))?.focus();
  }
}
