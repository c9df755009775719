/**
 * How many messages of unknown senders there are (rule 8).
 *
 * @module store/unmatched
 */

/** The API counts no further. */
const MOST = 1_000;

export class Unmatched {
  /** Null until it is known. @type {number | null} */
  count = null;
  /** The position at which the feed told the count. */
  #seq = 0;

  /** The feed told it. @param {number} count @param {number} seq */
  set(count, seq) {
    this.count = count;
    this.#seq = seq;
  }

  /**
   * Counts what the API lists.
   *
   * @param {AsyncIterable<{ items: any[] }>} pages
   * @param {number} since The position when they were asked for.
   */
  async add(pages, since) {
    let count = 0;
    for await (const page of pages) {
      count += page.items.length;
      if (count >= MOST) break;
    }
    if (this.#seq <= since) this.count = Math.min(count, MOST);
  }
}
