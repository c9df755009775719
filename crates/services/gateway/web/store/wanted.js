/**
 * Conversations of which something happened and which are not known. A few are fetched one by one; when there
 * are many, as after a send to thousands, the list begins anew with its first page instead.
 *
 * @module store/wanted
 */

const COLLECT_MS = 50;
const FEW = 20;

export class Wanted {
  /** @type {Set<string>} */
  #ids = new Set();
  #isRunning = false;
  #fetchOne;
  #startOver;

  /**
   * @param {{ fetchOne: (id: string) => Promise<void>, startOver: () => Promise<void> }} how
   */
  constructor({ fetchOne, startOver }) {
    this.#fetchOne = fetchOne;
    this.#startOver = startOver;
  }

  /** @param {string} id */
  add(id) {
    this.#ids.add(id);
    if (!this.#isRunning) void this.#run();
  }

  async #run() {
    this.#isRunning = true;
    while (this.#ids.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, COLLECT_MS));
      const ids = [...this.#ids];
      this.#ids.clear();
      // They are patient: what fails now was stopped, or refused for good.
      await Promise.allSettled(ids.length > FEW ? [this.#startOver()] : ids.map((id) => this.#fetchOne(id)));
    }
    this.#isRunning = false;
  }
}
