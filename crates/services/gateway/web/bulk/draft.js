/**
 * A send to many before it is sent: who gets it, what it says, and when. It touches no page.
 *
 * @module bulk/draft
 */

/** As many as the API takes. */
export const MAX_RECIPIENTS = 10_000;

/**
 * Somebody who was chosen.
 *
 * @typedef {object} Chosen
 * @property {string} id Unique among the chosen.
 * @property {{ person_id?: string, conversation_id?: string }} recipient As the API names them.
 * @property {string} name
 */

/**
 * A person, or a conversation with a name to show.
 *
 * @typedef {{ person_id?: string, conversation_id?: string, name?: string }} Whom
 */

/**
 * @param {Whom} whom
 * @returns {Chosen}
 */
export function choose({ person_id, conversation_id, name }) {
  const recipient = person_id === undefined ? { conversation_id } : { person_id };
  const id = idOf(recipient);
  return { id, recipient, name: name ?? id };
}

/**
 * @param {{ person_id?: string, conversation_id?: string }} recipient
 * @returns {string}
 */
export function idOf({ person_id, conversation_id }) {
  return person_id === undefined ? `conversation:${conversation_id}` : `person:${person_id}`;
}

/**
 * Events: `recipients` when somebody comes or goes, `change` at every change, that one too.
 */
export class Draft extends EventTarget {
  /** @type {Map<string, Chosen>} In the order in which they were chosen. */
  #chosen = new Map();
  #body = "";
  /** @type {string[]} */
  #mediaUrls = [];
  /** @type {Date | null} */
  #sendAt = null;
  /** @type {string | null} */
  #key = null;

  /** @returns {Chosen[]} */
  get recipients() {
    return [...this.#chosen.values()];
  }

  get count() {
    return this.#chosen.size;
  }

  /** @param {string} id */
  has(id) {
    return this.#chosen.has(id);
  }

  /** @param {string} id @returns {Chosen | undefined} */
  find(id) {
    return this.#chosen.get(id);
  }

  /**
   * Adds those who are not there yet, as far as the API takes so many.
   *
   * @param {Chosen[]} list
   * @returns {number} How many did not fit.
   */
  add(list) {
    let left = 0;
    for (const one of list) {
      if (this.#chosen.has(one.id)) continue;
      if (this.#chosen.size < MAX_RECIPIENTS) this.#chosen.set(one.id, one);
      else left += 1;
    }
    this.#changed("recipients");
    return left;
  }

  /** @param {string[]} ids */
  remove(ids) {
    for (const id of ids) this.#chosen.delete(id);
    this.#changed("recipients");
  }

  get body() {
    return this.#body;
  }

  set body(text) {
    if (text === this.#body) return;
    this.#body = text;
    this.#changed();
  }

  get mediaUrls() {
    return this.#mediaUrls;
  }

  set mediaUrls(urls) {
    this.#mediaUrls = [...urls];
    this.#changed();
  }

  /** Null: at once. */
  get sendAt() {
    return this.#sendAt;
  }

  set sendAt(time) {
    if (time?.getTime() === this.#sendAt?.getTime()) return;
    this.#sendAt = time;
    this.#changed();
  }

  /** The key of this very send: the same until something changes, so that sending again sends nothing twice. */
  get key() {
    return (this.#key ??= crypto.randomUUID());
  }

  /** Nobody, and nothing to say: ready for the next send. */
  clear() {
    this.#chosen.clear();
    this.#body = "";
    this.#mediaUrls = [];
    this.#sendAt = null;
    this.#changed("recipients");
  }

  /** The body of `POST /v1/messages` and of its preview. */
  toMessage() {
    return {
      recipients: this.recipients.map(({ recipient }) => recipient),
      body: this.#body,
      ...(this.#mediaUrls.length > 0 && { media_urls: this.#mediaUrls }),
      ...(this.#sendAt && { send_at: this.#sendAt.toISOString() }),
    };
  }

  /** @param {string} [more] */
  #changed(more) {
    this.#key = null;
    if (more) this.dispatchEvent(new Event(more));
    this.dispatchEvent(new Event("change"));
  }
}
