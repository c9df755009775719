/**
 * Calls to the messages number, by conversation. The API lists those of the whole license, so they are loaded
 * once for all threads, as far back as one of them shows.
 *
 * @module store/calls
 */

import { sortableTime } from "./order.js";

const PAGE = 200;
/** A thread that goes back further shows its older calls when they are loaded. */
const PAGES_AT_ONCE = 10;

export class Calls {
  #get;
  /** @type {Map<string, Map<string, any>>} */
  #byConversation = new Map();
  /** Undefined: nothing was loaded. @type {string | null | undefined} */
  #cursor = undefined;
  /** Calls from then on are loaded. */
  #loadedBackTo = "\uffff";
  #loading = Promise.resolve();

  /** @param {(query: Record<string, any>) => Promise<{ items: any[], next_cursor: string | null }>} get */
  constructor(get) {
    this.#get = get;
  }

  /** @param {string} conversationId @returns {Iterable<any>} */
  of(conversationId) {
    return this.#byConversation.get(conversationId)?.values() ?? [];
  }

  /** A call as it is now. @param {any} call */
  put(call) {
    const id = call.conversation_id;
    if (id === null) return;
    const calls = this.#byConversation.get(id) ?? new Map();
    this.#byConversation.set(id, calls);
    const isKnownFurther = calls.get(call.call_id)?.result && !call.result;
    if (!isKnownFurther) calls.set(call.call_id, call);
  }

  /**
   * Loads what came at or after a time. One after the other: threads that ask at once share the pages.
   *
   * @param {string} time A sortable time; empty: from the beginning.
   * @returns {Promise<void>}
   */
  loadBackTo(time) {
    const load = async () => {
      for (
        let pages = 0;
        pages < PAGES_AT_ONCE && this.#cursor !== null && this.#loadedBackTo > time;
        pages += 1
      ) {
        const page = await this.#get({ limit: PAGE, cursor: this.#cursor });
        for (const call of page.items) this.put(call);
        const last = page.items.at(-1);
        if (last) this.#loadedBackTo = sortableTime(last.started_at);
        this.#cursor = page.next_cursor;
      }
    };
    const loading = this.#loading.then(load);
    this.#loading = loading.catch(() => {});
    return loading;
  }

  /** Everything is loaded again when it is asked for. */
  distrust() {
    this.#cursor = undefined;
    this.#loadedBackTo = "\uffff";
  }

  /** @param {string} conversationId */
  remove(conversationId) {
    this.#byConversation.delete(conversationId);
  }
}
