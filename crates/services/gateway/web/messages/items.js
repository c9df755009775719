/**
 * What scrolls in a thread: the items, oldest first, with the days between.
 *
 * At its end it stays at its end when something comes. Anywhere else what is in sight stays where it is, also
 * when older items come above, and a button tells that something new is below.
 *
 * @module messages/items
 */

import { h } from "../dom.js";
import { formatCount, isSameDay } from "../format.js";
import { dayDivider } from "./bubble.js";

/** So near to an end counts as there. */
const END_PX = 48;
const OLDER_PX = 600;
const FOUND_MS = 2_500;

/**
 * @typedef {object} ItemsOptions
 * @property {(item: any, grouping: import("./bubble.js").Grouping) => HTMLElement} show
 * @property {(one: any, other: any) => boolean} isSameGroup
 * @property {() => void} onOlder Asks for older items; may come often.
 */

export class ItemsView {
  /** @type {Map<string, { node: HTMLElement, data: any, look: string }>} */
  #nodes = new Map();
  #options;
  #isAtEnd = true;
  #isFirst = true;
  #hasOlder = false;
  #unseen = 0;
  #watch;

  /** @param {ItemsOptions} options */
  constructor(options) {
    this.#options = options;
    this.#above = h("div", { class: "thread-above" });
    this.#content = h("div", { class: "thread-items" }, this.#above);
    this.#scroller = h(
      "div",
      {
        class: "thread-scroller",
        tabIndex: 0,
        role: "region",
        "aria-label": "Messages",
        onscroll: () => this.#onScroll(),
      },
      this.#content,
    );
    this.#toEnd = h("button", {
      type: "button",
      class: "to-end",
      hidden: true,
      onclick: () => this.scrollToEnd(),
    });
    this.element = h("div", { class: "thread-body" }, this.#scroller, this.#toEnd);
    this.#watch = new ResizeObserver(() => this.#isAtEnd && this.#goToEnd());
    this.#watch.observe(this.#scroller);
    this.#watch.observe(this.#content);
  }

  #above;
  #content;
  #scroller;
  #toEnd;

  close() {
    this.#watch.disconnect();
  }

  /**
   * Shows the items as they are now.
   *
   * @param {any[]} items Oldest first.
   * @param {{ hasOlder: boolean, above: import("../dom.js").Child[] }} options
   *   `above`: what stands before the first item.
   */
  render(items, { hasOlder, above }) {
    this.#hasOlder = hasOlder;
    const anchor = this.#isAtEnd ? null : this.#findAnchor();
    const came = this.#countNew(items);
    this.#above.replaceChildren(...above);
    this.#place(this.#plan(items));
    if (this.#isFirst || this.#isAtEnd || came.own) this.scrollToEnd();
    else {
      // Its element may be another one now.
      const node = anchor && this.#nodes.get(anchor.key)?.node;
      if (node) this.#scroller.scrollTop += node.offsetTop - anchor.top;
      if (came.others > 0) this.#tellOfNew(came.others);
    }
    this.#isFirst = false;
    this.#wantOlder();
  }

  scrollToEnd() {
    this.#isAtEnd = true;
    this.#goToEnd();
  }

  /**
   * Leads to an item and lights it up.
   *
   * @param {string} messageId
   * @returns {boolean} False when it is not here.
   */
  showMessage(messageId) {
    const node = [...this.#nodes.values()].find((each) => each.node.dataset.id === messageId)?.node;
    if (!node) return false;
    node.scrollIntoView({ block: "center" });
    this.#onScroll();
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), FOUND_MS);
    return true;
  }

  /** The keyboard goes where the messages are. */
  focus() {
    this.#scroller.focus({ preventScroll: true });
  }

  /** The elements that should stand here, in order. */
  #plan(items) {
    const planned = [];
    // What is today's is said of each day.
    const today = new Date().toDateString();
    items.forEach((item, index) => {
      const [before, after] = [items[index - 1], items[index + 1]];
      const isNewDay = !before || !isSameDay(before.at, item.at);
      if (isNewDay) {
        planned.push(this.#node(`day ${item.at.toDateString()}`, today, "", () => dayDivider(item.at)));
      }
      const { isSameGroup, show } = this.#options;
      const grouping = {
        follows: !isNewDay && isSameGroup(before, item),
        goesOn: isSameGroup(item, after),
      };
      const look = `${grouping.follows} ${grouping.goesOn}`;
      planned.push(this.#node(item.key, item.data, look, () => show(item, grouping)));
    });
    return planned;
  }

  /** The element of a key: the one that is there, unless it would look different. */
  #node(key, data, look, make) {
    const there = this.#nodes.get(key);
    if (there && there.data === data && there.look === look) return { key, entry: there };
    return { key, entry: { node: make(), data, look } };
  }

  #place(planned) {
    const kept = new Set(planned.map(({ entry }) => entry.node));
    const hadFocus = this.#content.contains(document.activeElement);
    for (const { node } of this.#nodes.values()) {
      if (!kept.has(node)) node.remove();
    }
    let previous = this.#above;
    for (const { entry } of planned) {
      if (previous.nextSibling !== entry.node) previous.after(entry.node);
      previous = entry.node;
    }
    this.#nodes = new Map(planned.map(({ key, entry }) => [key, entry]));
    // What had the focus was drawn anew: the keyboard stays in the thread.
    if (hadFocus && !this.#content.contains(document.activeElement)) this.focus();
  }

  /** What came at the end since the last time. */
  #countNew(items) {
    const came = { own: false, others: 0 };
    for (let index = items.length - 1; index >= 0 && !this.#isFirst; index -= 1) {
      const item = items[index];
      const isPending = item.kind === "pending";
      if (this.#nodes.has(item.key)) {
        // What was not answered yet stays below all else.
        if (isPending) continue;
        break;
      }
      if (isPending) came.own = true;
      else if (item.kind === "message") came.others += 1;
    }
    return came;
  }

  /** The first item in sight, and where it stands. */
  #findAnchor() {
    const top = this.#scroller.scrollTop;
    for (const [key, { node }] of this.#nodes) {
      const isDay = node.tagName === "H3";
      if (!isDay && node.offsetTop + node.offsetHeight > top) return { key, top: node.offsetTop };
    }
    return null;
  }

  #tellOfNew(count) {
    this.#unseen += count;
    this.#toEnd.textContent = `${formatCount(this.#unseen, "new message")} ↓`;
    this.#toEnd.hidden = false;
  }

  #goToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#seen();
  }

  #seen() {
    this.#unseen = 0;
    if (this.#toEnd === document.activeElement) this.focus();
    this.#toEnd.hidden = true;
  }

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#isAtEnd = scrollHeight - clientHeight - scrollTop < END_PX;
    if (this.#isAtEnd) this.#seen();
    this.#wantOlder();
  }

  #wantOlder() {
    if (this.#hasOlder && this.#scroller.scrollTop < OLDER_PX) this.#options.onOlder();
  }
}
