/**
 * Does something once the feed is quiet, and soon all the same where it never is.
 *
 * @module store/when-quiet
 */

const QUIET_MS = 1_000;
const LONGEST_MS = 10_000;

export class WhenQuiet {
  #work;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #deadline = 0;

  /** @param {() => void} work */
  constructor(work) {
    this.#work = work;
  }

  /** It is to be done. */
  ask() {
    if (this.#timer === null) this.#deadline = Date.now() + LONGEST_MS;
    this.#wait();
  }

  /** The feed told something: what is asked for waits on. */
  delay() {
    if (this.#timer !== null) this.#wait();
  }

  stop() {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
  }

  #wait() {
    this.stop();
    const left = this.#deadline - Date.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#work();
      },
      Math.max(0, Math.min(QUIET_MS, left)),
    );
  }
}
