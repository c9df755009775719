/**
 * A list of which only the rows in sight are in the page, however long it is.
 *
 * All rows have one height and stand at a place of their own in a box that is as high as the whole list. The
 * list is one tab stop: the arrow keys move in it, Enter opens. When rows come or move above the place in
 * sight, what is in sight stays where it is. While a row is pressed nothing changes: what is pressed is what opens.
 *
 * @module messages/window
 */

import { h } from "../dom.js";

/** Rows in the page above and below those in sight, so that fast scrolling shows no holes. */
const SPARE_ROWS = 6;
/** How near to the end of the list the next page is asked for. */
const ROWS_BEFORE_NEXT_PAGE = 30;

/**
 * @template T
 * @typedef {object} WindowOptions
 * @property {HTMLElement} scroller What scrolls: the list stands in it. It is positioned.
 * @property {string} label What the list is, to those who do not see it.
 * @property {number} rowHeight In pixels.
 * @property {(item: T) => string} idOf
 * @property {(element: HTMLElement, item: T, previous: T | undefined) => void} fill Shows an item in its row.
 * @property {(item: T) => void} onOpen
 * @property {() => void} onNearEnd Asks for more; may come often.
 */

/** @template T */
export class WindowedList {
  /** @type {readonly T[]} */
  #items = [];
  /** As they stood when they were shown: the items may be one array that changes. @type {string[]} */
  #ids = [];
  /** @type {Map<string, { element: HTMLElement, item: T | undefined }>} */
  #rows = new Map();
  /** @type {Map<string, number>} */
  #indexes = new Map();
  #isComplete = true;
  /** @type {string | null} */
  #activeId = null;
  /** @type {string | null} */
  #selectedId = null;
  #options;
  #frame = 0;
  #isPressed = false;
  /** What came meanwhile. @type {[readonly T[], { isComplete: boolean }] | null} */
  #held = null;
  #end = new AbortController();
  #watch;
  #prefix = `list-${crypto.randomUUID()}`;

  /** @param {WindowOptions<T>} options */
  constructor(options) {
    this.#options = options;
    this.element = h("div", {
      class: "window",
      role: "listbox",
      tabIndex: 0,
      "aria-label": options.label,
      onkeydown: (event) => this.#onKey(event),
      onclick: (event) => this.#onClick(event),
      onpointerdown: (event) => (this.#isPressed = event.isPrimary && event.button === 0),
      onfocus: () => this.#showActive(),
    });
    const { signal } = this.#end;
    for (const end of ["pointerup", "pointercancel"]) {
      window.addEventListener(end, () => this.#release(), { signal });
    }
    options.scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true, signal });
    this.#watch = new ResizeObserver(() => this.#render());
    this.#watch.observe(options.scroller);
  }

  /** No row is shown after this. */
  close() {
    cancelAnimationFrame(this.#frame);
    this.#end.abort();
    this.#watch.disconnect();
  }

  /**
   * Shows other items, or the same ones anew.
   *
   * @param {readonly T[]} items
   * @param {{ isComplete: boolean }} options `isComplete`: no more come by `onNearEnd`.
   */
  setItems(items, { isComplete }) {
    if (this.#isPressed) {
      this.#held = [items, { isComplete }];
      return;
    }
    const { idOf, rowHeight, scroller } = this.#options;
    const ids = items.map(idOf);
    const indexes = new Map(ids.map((id, index) => [id, index]));
    const top = this.#topInList();
    const anchor = top > 0 ? findAnchor(this.#ids, indexes, top / rowHeight) : null;
    this.#items = items;
    this.#ids = ids;
    this.#indexes = indexes;
    this.#isComplete = isComplete;
    this.element.style.height = `${items.length * rowHeight}px`;
    if (anchor) scroller.scrollTop += (anchor.to - anchor.from) * rowHeight;
    this.#render();
  }

  /** Fills all rows anew: what they say of their items has changed. */
  refresh() {
    for (const row of this.#rows.values()) row.item = undefined;
    this.#render();
  }

  /**
   * Marks the row that is open.
   *
   * @param {string | null} id
   */
  select(id) {
    if (id === this.#selectedId) return;
    this.#selectedId = id;
    if (id !== null) this.#activeId = id;
    this.#render();
  }

  #onScroll() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#render());
  }

  /** The click comes first, then what was held up. */
  #release() {
    if (!this.#isPressed) return;
    this.#isPressed = false;
    const held = this.#held;
    this.#held = null;
    setTimeout(() => (held ? this.setItems(...held) : this.#render()));
  }

  /** How far the list's beginning is above what is in sight. */
  #topInList() {
    return this.#options.scroller.scrollTop - this.element.offsetTop;
  }

  #render() {
    if (this.#isPressed) return;
    const { rowHeight, scroller, idOf, fill, onNearEnd } = this.#options;
    const top = this.#topInList();
    const first = Math.max(0, Math.floor(top / rowHeight) - SPARE_ROWS);
    const last = Math.min(
      this.#items.length,
      Math.ceil((top + scroller.clientHeight) / rowHeight) + SPARE_ROWS,
    );
    const shown = this.#items.slice(first, last);
    const wanted = new Set(shown.map(idOf));
    for (const [id, { element }] of this.#rows) {
      if (wanted.has(id)) continue;
      element.remove();
      this.#rows.delete(id);
    }
    shown.forEach((item, offset) => {
      const row = this.#row(idOf(item));
      // Read aloud in the order in which they show.
      const there = this.element.children[offset];
      if (there !== row.element) this.element.insertBefore(row.element, there ?? null);
      this.#place(row.element, first + offset, idOf(item));
      if (row.item !== item) fill(row.element, item, row.item);
      row.item = item;
    });
    this.#pointAtActive();
    if (!this.#isComplete && last + ROWS_BEFORE_NEXT_PAGE >= this.#items.length) onNearEnd();
  }

  /** @param {string} id */
  #row(id) {
    const there = this.#rows.get(id);
    if (there) return there;
    const element = h("div", {
      class: "row",
      role: "option",
      id: `${this.#prefix}-${id}`,
      "data-id": id,
    });
    element.style.height = `${this.#options.rowHeight}px`;
    const row = { element, item: undefined };
    this.#rows.set(id, row);
    return row;
  }

  /**
   * @param {HTMLElement} element
   * @param {number} index
   * @param {string} id
   */
  #place(element, index, id) {
    element.style.transform = `translateY(${index * this.#options.rowHeight}px)`;
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(this.#isComplete ? this.#items.length : -1));
    element.setAttribute("aria-selected", String(id === this.#selectedId));
    element.classList.toggle("active", id === this.#activeId);
  }

  #pointAtActive() {
    const row = this.#activeId === null ? undefined : this.#rows.get(this.#activeId);
    if (row) this.element.setAttribute("aria-activedescendant", row.element.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** The row that has the keyboard: the first one when none has it. */
  #showActive() {
    if (this.#items.length === 0) return;
    const index = this.#activeId === null ? undefined : this.#indexes.get(this.#activeId);
    this.#activate(index ?? Math.ceil(Math.max(0, this.#topInList()) / this.#options.rowHeight));
  }

  /** @param {number} index */
  #activate(index) {
    const { idOf, rowHeight, scroller } = this.#options;
    const at = Math.min(Math.max(index, 0), this.#items.length - 1);
    this.#activeId = idOf(this.#items[at]);
    const above = at * rowHeight - this.#topInList();
    const below = above + rowHeight - scroller.clientHeight;
    if (above < 0) scroller.scrollTop += above;
    else if (below > 0) scroller.scrollTop += below;
    this.#render();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (this.#items.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#activeId === null ? -1 : (this.#indexes.get(this.#activeId) ?? -1);
    const page = Math.max(1, Math.floor(this.#options.scroller.clientHeight / this.#options.rowHeight) - 1);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#items.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#activate(to);
    } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
      event.preventDefault();
      this.#options.onOpen(this.#items[at]);
    }
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const id = /** @type {HTMLElement} */ (event.target).closest("[data-id]")?.getAttribute("data-id");
    // The items may be one array that has changed since they were shown.
    const item = this.#items.find((each) => this.#options.idOf(each) === id);
    if (item) this.#options.onOpen(item);
  }
}

/**
 * Which row tells how far what is in sight has moved: of the first rows in sight the one that moved least,
 * because one that jumps to the top of the list is not followed.
 *
 * @param {string[]} ids As they stood.
 * @param {Map<string, number>} indexes Where they stand now.
 * @param {number} firstInSight
 * @returns {{ from: number, to: number } | null}
 */
export function findAnchor(ids, indexes, firstInSight) {
  const first = Math.floor(firstInSight);
  let best = null;
  for (let from = first; from < Math.min(first + 8, ids.length); from += 1) {
    const to = indexes.get(ids[from]);
    if (to === undefined) continue;
    if (!best || Math.abs(to - from) < Math.abs(best.to - best.from)) best = { from, to };
  }
  return best;
}
