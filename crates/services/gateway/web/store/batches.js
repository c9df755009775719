/**
 * The sends to many that were looked at.
 *
 * @module store/batches
 */

/** The feed does not say when a batch will be out: that is asked again, but not all the time. */
const ESTIMATE_MS = 5_000;

/**
 * @typedef {object} Batch
 * @property {string} batch_id
 * @property {import("../client.js").Manager} manager
 * @property {string} created_at
 * @property {number} recipients
 * @property {number} rejected
 * @property {number} messages
 * @property {Record<string, number>} counts By status.
 * @property {string | null} canceled_at
 * @property {import("../client.js").Manager | null} canceled_by
 * @property {string | null} [finish_at]
 * @property {string | null} [held_by]
 */

export class Batches {
  /** @type {Map<string, Batch>} */
  known = new Map();
  /** @type {Map<string, number>} */
  #seqs = new Map();
  /** @type {Map<string, number>} */
  #askedAt = new Map();
  #around;

  /**
   * @param {{ get: (id: string) => Promise<Batch>, position: () => number, onChange: (batch: Batch) => void
   *   }} around
   */
  constructor(around) {
    this.#around = around;
  }

  /** @param {string} id @returns {Promise<Batch>} As it is now, and live from then on. */
  async fetch(id) {
    const since = this.#around.position();
    this.#askedAt.set(id, Date.now());
    const batch = await this.#around.get(id);
    const known = this.known.get(id);
    const isOvertaken = known !== undefined && (this.#seqs.get(id) ?? 0) > since;
    const { finish_at, held_by } = batch;
    this.put(
      isOvertaken ? { ...known, finish_at, held_by } : batch,
      Math.max(since, this.#seqs.get(id) ?? 0),
    );
    return /** @type {Batch} */ (this.known.get(id));
  }

  /** @param {Batch} batch @param {number} seq */
  put(batch, seq) {
    this.known.set(batch.batch_id, batch);
    this.#seqs.set(batch.batch_id, seq);
    this.#around.onChange(batch);
  }

  /**
   * `batch.updated`. Those that nobody looked at are told of, and not kept.
   *
   * @param {Batch} update
   * @param {number} seq
   */
  update(update, seq) {
    const id = update.batch_id;
    const known = this.known.get(id);
    if (!known) return this.#around.onChange(update);
    const waits = ["queued", "unknown"].some((status) => update.counts[status] > 0);
    const estimate = waits
      ? { finish_at: known.finish_at, held_by: known.held_by }
      : { finish_at: null, held_by: null };
    this.put({ ...update, ...estimate }, seq);
    if (waits && Date.now() - (this.#askedAt.get(id) ?? 0) > ESTIMATE_MS) this.fetch(id).catch(() => {});
  }

  /** Fetches all of them again. */
  async refresh() {
    await Promise.allSettled([...this.known.keys()].map((id) => this.fetch(id)));
  }
}
