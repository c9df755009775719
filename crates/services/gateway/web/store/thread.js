/**
 * What is shown of one conversation: messages, the lines between them, calls, and sends that were not
 * answered yet.
 *
 * @module store/thread
 */

import { furtherMessage, messageKey, sortableTime } from "./order.js";
import { Outbox } from "./outbox.js";

/** @typedef {import("../client.js").Message} Message */

/**
 * @typedef {object} ThreadItem
 * @property {"message" | "event" | "call" | "pending"} kind
 * @property {string} id
 * @property {string} key The same for a message and for the pending send that it was: what is shown for one
 *   need not be built anew.
 * @property {Date} at
 * @property {any} data A message, a line (`conversation.event`), a call, or a
 *   {@link import("./outbox.js").Pending}. Another state is another object.
 */

/**
 * @typedef {object} Surroundings What a thread needs of the store.
 * @property {import("../client.js").Client} client
 * @property {import("./calls.js").Calls} calls
 * @property {() => number} position The feed's.
 * @property {() => string | null} managerId
 * @property {AbortSignal} signal
 * @property {number} patienceMs
 * @property {() => void} onChange
 */

const PAGE = 50;
const EVENTS_PAGE = 200;
/** Above every key. */
const NOTHING = "\uffff";

export class Thread {
  #around;
  #outbox;
  /** @type {Map<string, { message: Message, seq: number }>} */
  #messages = new Map();
  /** @type {Map<string, any>} */
  #events = new Map();
  /** What stands before it was not loaded. */
  #border = NOTHING;
  /** The `before` of the next older page. @type {string | null} */
  #before = null;
  #eventsCursor = null;
  #areEventsComplete = false;
  /** @type {Promise<void> | null} */
  #loading = null;
  #isStale = true;
  /** @type {Map<string, ThreadItem>} */
  #shown = new Map();
  /** @type {ThreadItem[] | null} */
  #items = null;

  /** @param {string} id @param {Surroundings} around */
  constructor(id, around) {
    this.id = id;
    this.isDeleted = false;
    this.#around = around;
    this.#outbox = new Outbox(this, { ...around, onChange: () => this.changed() });
  }

  /** Oldest first. The same array until something changes. @returns {ThreadItem[]} */
  get items() {
    this.#items ??= this.#build();
    return this.#items;
  }

  /** There is more to load. */
  get hasOlder() {
    return this.#before !== null;
  }

  /** Up to where the thread shows what happened: goes with a send, which is refused if there is more. */
  get lastSeenSeq() {
    return this.#around.position();
  }

  /** The newest message. @returns {Message | null} */
  get newest() {
    return this.items.findLast(({ kind }) => kind === "message")?.data ?? null;
  }

  /** @param {string} id */
  has(id) {
    return this.#messages.has(id);
  }

  /** Loads the newest page, unless it is there. @returns {Promise<void>} */
  load() {
    if (!this.#isStale) return Promise.resolve();
    this.#loading ??= this.#loadNewest().finally(() => (this.#loading = null));
    return this.#loading;
  }

  /** What is there cannot be trusted any more: the feed lost its place. */
  distrust() {
    this.#isStale = true;
  }

  /** @returns {Promise<void>} */
  loadOlder() {
    if (!this.hasOlder || this.isDeleted) return Promise.resolve();
    this.#loading ??= this.#loadOlder().finally(() => (this.#loading = null));
    return this.#loading;
  }

  /**
   * A send, visible at once.
   *
   * @param {import("./outbox.js").NewSend} send
   * @returns {Promise<Message | null>}
   */
  send(send) {
    return this.#outbox.send(send);
  }

  /**
   * A message of the feed.
   *
   * @param {Message} message
   * @param {number} seq
   * @param {boolean} isCreated
   */
  apply(message, seq, isCreated) {
    if (isCreated) this.#outbox.claim(message);
    this.#put(message, seq);
    this.changed();
  }

  /** Messages of an answer, as of a position or later. @param {Message[]} messages @param {number} since */
  merge(messages, since) {
    for (const message of messages) {
      const known = this.#messages.get(message.message_id);
      if (!known || known.seq <= since) this.#put(message, since);
    }
    this.changed();
  }

  /** A line of the feed. @param {any} event */
  applyEvent(event) {
    this.#events.set(event.event_id, event);
    this.changed();
  }

  /** The conversation is gone, and with it everything that is shown. */
  erase() {
    this.isDeleted = true;
    this.#outbox.erase();
    this.#messages.clear();
    this.#events.clear();
    this.#before = null;
    this.changed();
  }

  changed() {
    this.#items = null;
    this.#around.onChange();
  }

  async #loadNewest() {
    const since = this.#around.position();
    const [page, events] = await Promise.all([
      this.#get("messages", { limit: PAGE }),
      this.#get("events", { limit: EVENTS_PAGE }),
    ]);
    if (this.isDeleted) return;
    for (const [id, { seq }] of this.#messages) if (seq <= since) this.#messages.delete(id);
    this.#isStale = false;
    this.#takeEvents(events);
    this.#takePage(page, since);
    await this.#around.calls.loadBackTo(this.#oldestTime());
    this.changed();
  }

  async #loadOlder() {
    const since = this.#around.position();
    const page = await this.#get("messages", { limit: PAGE, before: this.#before });
    if (this.isDeleted) return;
    this.#takePage(page, since);
    const oldest = this.#oldestTime();
    while (!this.#areEventsComplete && this.#oldestEventTime() > oldest) {
      this.#takeEvents(await this.#get("events", { limit: EVENTS_PAGE, cursor: this.#eventsCursor }));
    }
    await this.#around.calls.loadBackTo(oldest);
    this.changed();
  }

  #takePage(page, since) {
    this.#before = page.next_cursor;
    const oldest = page.items.at(-1);
    this.#border = this.#before === null ? "" : oldest ? messageKey(oldest) : this.#border;
    this.merge(page.items, since);
  }

  #takeEvents(page) {
    for (const event of page.items) this.#events.set(event.event_id, event);
    this.#eventsCursor = page.next_cursor;
    this.#areEventsComplete = page.next_cursor === null;
  }

  #get(what, query) {
    const { client, signal, patienceMs } = this.#around;
    return client.get(`/v1/conversations/${this.id}/${what}`, query, { signal, patienceMs });
  }

  #put(message, seq) {
    const known = this.#messages.get(message.message_id);
    this.#messages.set(message.message_id, { message: furtherMessage(known?.message, message), seq });
  }

  /** Empty: everything is loaded. */
  #oldestTime() {
    return this.#border === NOTHING ? NOTHING : this.#border.split(" ")[0];
  }

  #oldestEventTime() {
    const times = [...this.#events.values()].map(({ occurred_at: time }) => sortableTime(time));
    return times.reduce((oldest, time) => (time < oldest ? time : oldest), NOTHING);
  }

  #build() {
    const places = [];
    const add = (place, kind, id, key, time, data) => {
      if (place >= this.#border) places.push({ place, item: this.#item(kind, id, key, time, data) });
    };
    for (const [id, { message }] of this.#messages) {
      add(messageKey(message), "message", id, this.#outbox.keyOf(id), message.created_at, message);
    }
    for (const event of this.#events.values()) {
      const { event_id: id, occurred_at: time } = event;
      // A line that is told by a message stands after it.
      add(`${sortableTime(time)} ~${id}`, "event", id, id, time, event);
    }
    for (const call of this.#around.calls.of(this.id)) {
      const { call_id: id, started_at: time } = call;
      add(`${sortableTime(time)} ~${id}`, "call", id, id, time, call);
    }
    places.sort((one, other) => (one.place < other.place ? -1 : 1));
    const pending = this.#outbox.items.map((each) =>
      this.#item("pending", each.id, each.id, each.at, each.data),
    );
    const items = [...places.map(({ item }) => item), ...pending];
    this.#shown = new Map(items.map((item) => [item.id, item]));
    return items;
  }

  /** The item of before, if nothing about it is new. */
  #item(kind, id, key, time, data) {
    const before = this.#shown.get(id);
    if (before && before.data === data && before.key === key) return before;
    return { kind, id, key, at: new Date(time), data };
  }
}
