/**
 * The threads that were opened. Those that were not asked for in a while are let go.
 *
 * @module store/threads
 */

import { Thread } from "./thread.js";

const MOST = 30;
/** How many of the last ones are surely shown somewhere. */
const SHOWN = 3;

export class Threads {
  /** The one that was asked for last is at the end. @type {Map<string, Thread>} */
  #threads = new Map();
  #surround;

  /** @param {(id: string) => import("./thread.js").Surroundings} surround */
  constructor(surround) {
    this.#surround = surround;
  }

  /** @param {string} id @returns {Thread | undefined} One that is open. */
  find(id) {
    return this.#threads.get(id);
  }

  /** @param {string} id @returns {Thread} Not loaded, if it is new. */
  open(id) {
    const thread = this.#threads.get(id) ?? new Thread(id, this.#surround(id));
    this.#threads.delete(id);
    this.#threads.set(id, thread);
    for (const oldest of this.#threads.keys()) {
      if (this.#threads.size <= MOST) break;
      this.#threads.delete(oldest);
    }
    return thread;
  }

  /** @param {string} id @returns {Promise<Thread>} Loaded. */
  async load(id) {
    const thread = this.open(id);
    await thread.load();
    return thread;
  }

  /** The ids of those that were asked for last. */
  listLast() {
    return [...this.#threads.keys()].slice(-SHOWN);
  }

  /** What is loaded cannot be trusted any more. */
  distrust() {
    for (const thread of this.#threads.values()) thread.distrust();
  }

  /** The conversation is gone. @param {string} id */
  erase(id) {
    this.#threads.get(id)?.erase();
    this.#threads.delete(id);
  }
}
