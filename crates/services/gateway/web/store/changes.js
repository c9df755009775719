/**
 * Tells of changes at most once per frame, however many there are.
 *
 * @module store/changes
 */

/** A hidden page has no frames. */
const HIDDEN_MS = 100;

export class Changes {
  /** @type {Map<string, CustomEvent>} */
  #waiting = new Map();
  #target;

  /** @param {EventTarget} target */
  constructor(target) {
    this.#target = target;
  }

  /**
   * @param {string} type
   * @param {any} [detail] The last one is told, of each `id` one.
   * @param {string} [id]
   */
  tell(type, detail = null, id = "") {
    if (this.#waiting.size === 0) schedule(() => this.#flush());
    this.#waiting.set(`${type} ${id}`, new CustomEvent(type, { detail }));
  }

  #flush() {
    const events = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const event of events) this.#target.dispatchEvent(event);
  }
}

function schedule(flush) {
  if (typeof requestAnimationFrame !== "function") return void queueMicrotask(flush);
  let isDone = false;
  const once = () => {
    if (!isDone) flush();
    isDone = true;
  };
  requestAnimationFrame(once);
  setTimeout(once, HIDDEN_MS);
}
