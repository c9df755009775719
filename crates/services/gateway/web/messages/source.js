/**
 * Which conversations the list shows: all of them as the store has them, or those that were looked for.
 *
 * @module messages/source
 */

const PAGE = 50;
/** How soon a list that was looked for is looked for again when something has happened. */
const AGAIN_MS = 1_500;

/** @typedef {{ query: string, unread: boolean }} Filter */

export class ConversationSource {
  #store;
  #onChange;
  /** @type {Filter} */
  #filter = { query: "", unread: false };
  /** What was looked for. @type {any[]} */
  #found = [];
  /** @type {string | null} */
  #cursor = null;
  #isLoading = false;
  #problem = null;
  /** Answers to an older question are not listened to. */
  #question = 0;
  #again = 0;
  /** What is not loaded yet is not empty. */
  #isLoaded;
  #end = new AbortController();

  /**
   * @param {import("../store.js").Store} store
   * @param {() => void} onChange
   */
  constructor(store, onChange) {
    this.#store = store;
    this.#onChange = onChange;
    this.#isLoaded = store.settings !== null;
    const { signal } = this.#end;
    store.addEventListener("conversations", () => this.#onConversations(), { signal });
    store.addEventListener("unread", () => this.#onUnread(), { signal });
    store.addEventListener("deleted", ({ detail }) => this.#forget(detail), { signal });
  }

  close() {
    this.#question += 1;
    clearTimeout(this.#again);
    this.#end.abort();
  }

  /** @returns {readonly any[]} Newest first, each as it is now. */
  get items() {
    if (!this.isFiltered) return this.#store.conversations;
    return this.#found.map((found) => this.#store.conversation(found.conversation_id) ?? found);
  }

  get isFiltered() {
    return this.#filter.query !== "" || this.#filter.unread;
  }

  /** No more can be loaded. */
  get isComplete() {
    return this.isFiltered ? this.#cursor === null && !this.#isLoading : !this.#store.hasMoreConversations;
  }

  /** More is on its way. */
  get isLoading() {
    return this.#isLoading || !this.#isLoaded;
  }

  /** Why the last page did not come. */
  get problem() {
    return this.#problem;
  }

  /** @param {Filter} filter */
  async filter(filter) {
    this.#filter = filter;
    clearTimeout(this.#again);
    this.#found = [];
    this.#cursor = null;
    this.#problem = null;
    this.#question += 1;
    this.#isLoading = false;
    if (this.isFiltered) await this.#load((page) => page.items);
    else this.#onChange();
  }

  /** The next page. May be called often. */
  async loadMore() {
    if (this.#isLoading || this.isComplete || this.#problem) return;
    if (this.isFiltered) return this.#load((page) => merge(this.#found, page.items));
    this.#isLoading = true;
    try {
      await this.#store.loadMoreConversations();
    } catch (problem) {
      this.#fail(problem);
    } finally {
      this.#isLoading = false;
    }
  }

  /** Tries again what did not come. */
  async retry() {
    this.#problem = null;
    await this.loadMore();
    this.#onChange();
  }

  /** @param {(page: { items: any[] }) => any[]} take */
  async #load(take) {
    const question = (this.#question += 1);
    this.#isLoading = true;
    this.#onChange();
    const { query, unread } = this.#filter;
    try {
      const page = await this.#store.searchConversations(query, {
        unread,
        limit: PAGE,
        cursor: this.#cursor ?? undefined,
      });
      if (question !== this.#question) return;
      this.#found = take(page);
      this.#cursor = page.next_cursor;
    } catch (problem) {
      if (question === this.#question) this.#fail(problem);
    } finally {
      if (question === this.#question) this.#isLoading = false;
    }
    if (question === this.#question) this.#onChange();
  }

  #onConversations() {
    this.#isLoaded = true;
    this.#onChange();
  }

  /** Something came, or was read. */
  #onUnread() {
    if (!this.isFiltered) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#lookAgain(), AGAIN_MS);
  }

  /** What is new stands first. What was found before stays, so that nothing goes away under the pointer. */
  async #lookAgain() {
    const { query, unread } = this.#filter;
    const question = this.#question;
    try {
      const page = await this.#store.searchConversations(query, { unread, limit: PAGE });
      if (question !== this.#question) return;
      this.#found = merge(page.items, this.#found);
      this.#onChange();
    } catch {
      // It is looked for again when the next thing happens.
    }
  }

  /** @param {string} id */
  #forget(id) {
    this.#found = this.#found.filter((found) => found.conversation_id !== id);
    this.#onChange();
  }

  #fail(problem) {
    this.#problem = problem;
    // It goes on by itself after a while.
    setTimeout(() => !this.#end.signal.aborted && this.#problem === problem && this.retry(), 5_000);
  }
}

/** The first list, and what only the second one has. */
function merge(first, second) {
  const ids = new Set(first.map((conversation) => conversation.conversation_id));
  return [...first, ...second.filter((conversation) => !ids.has(conversation.conversation_id))];
}
