/**
 * Sends to many that were made: newest first, live.
 *
 * @module bulk/recent
 */

import { h, replace } from "../dom.js";
import { problemWords } from "../words.js";
import { BatchCard } from "./progress.js";

const PAGE_SIZE = 10;

/** The list, in `element`. */
export class RecentSends {
  #context;
  #signal;
  /** @type {Set<string>} */
  #known = new Set();
  /** @type {string | null} */
  #cursor = null;
  #isShown = false;
  /** When the newest one that is shown was made. */
  #newest = new Date(0);

  /**
   * @param {{ store: import("../store.js").Store }} context
   * @param {AbortSignal} signal Until then it is live.
   */
  constructor(context, signal) {
    this.#context = context;
    this.#signal = signal;
    this.list = h("div", { class: "batches" });
    this.status = h("p", { class: "empty", role: "status" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#load() }, "Show older ones");
    this.element = h("div", null, this.status, this.list, this.more);
    context.store.addEventListener("batch", (event) => this.#take(event.detail), { signal });
  }

  /** Loads the list when it is first looked at. */
  show() {
    if (this.#isShown) return;
    this.#isShown = true;
    void this.#load();
  }

  async #load() {
    this.more.disabled = true;
    if (this.#known.size === 0) this.status.textContent = "Loading…";
    try {
      const query = { limit: PAGE_SIZE, ...(this.#cursor !== null && { cursor: this.#cursor }) };
      const page = await this.#context.store.client.get("/v1/batches", query, { signal: this.#signal });
      this.#cursor = page.next_cursor;
      for (const batch of page.items) if (this.#isNew(batch)) this.list.append(this.#card(batch));
      this.#tell();
    } catch (problem) {
      if (this.#signal.aborted) return;
      replace(
        this.status,
        `${problemWords(problem)} `,
        h("button", { type: "button", class: "small", onclick: () => this.#load() }, "Try again"),
      );
      this.status.hidden = false;
    } finally {
      this.more.disabled = false;
    }
  }

  /** A send that was made meanwhile, here or by somebody else, stands first. */
  #take(batch) {
    // Of an older one, which stands on a later page, the feed tells too.
    if (!this.#isShown || new Date(batch.created_at) <= this.#newest || !this.#isNew(batch)) return;
    this.list.prepend(this.#card(batch));
    this.#tell();
  }

  #isNew(batch) {
    const isNew = !this.#known.has(batch.batch_id);
    this.#known.add(batch.batch_id);
    return isNew;
  }

  #card(batch) {
    const createdAt = new Date(batch.created_at);
    if (createdAt > this.#newest) this.#newest = createdAt;
    return new BatchCard(this.#context, batch, this.#signal).element;
  }

  #tell() {
    this.status.textContent = "No message went to several people yet.";
    this.status.hidden = this.#known.size > 0;
    this.more.hidden = this.#cursor === null;
  }
}
