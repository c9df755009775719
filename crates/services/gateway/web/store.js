/**
 * The live state of the signed-in license: what the pages show. It is fetched once and kept up to date by the
 * feed.
 *
 * The rules by which answers and the feed are put together stand in store/. What is handed out is never
 * changed in place: another state is another object. Only `conversations` keeps its array.
 *
 * @module store
 */

import { Batches } from "./store/batches.js";
import { Calls } from "./store/calls.js";
import { Changes } from "./store/changes.js";
import { ConversationList } from "./store/conversation-list.js";
import { Scheduled } from "./store/scheduled.js";
import { Threads } from "./store/threads.js";
import { Unmatched } from "./store/unmatched.js";
import { Unread } from "./store/unread.js";
import { Wanted } from "./store/wanted.js";
import { WhenQuiet } from "./store/when-quiet.js";

/** @typedef {import("./client.js").Conversation} Conversation */
/** @typedef {import("./client.js").Message} Message */
/** @typedef {import("./store/batches.js").Batch} Batch */
/** @typedef {import("./store/scheduled.js").ScheduledSend} ScheduledSend */
/** @typedef {import("./store/thread.js").Thread} Thread */

const PAGE = 50;
const LARGE_PAGE = 200;

/**
 * Events, each at most once per frame: `conversations`, `thread` (detail: the conversation's id), `settings`,
 * `connection`, `unread`, `batch` (detail: the batch), `scheduled`, `person` (detail: the person),
 * `unmatched`, `deleted` (detail: the conversation's id), `refused` (detail: the problem; the feed has
 * ended).
 */
export class Store extends EventTarget {
  /** @type {{ id: string, name: string, role: string, license_id: string } | null} Set by who signs in. */
  manager = null;
  /** @type {import("./client.js").FeedState} */
  connection = "connecting";
  /** @type {any} The company and its messages number; null until it is loaded. */
  settings = null;

  #changes = new Changes(this);
  #stopping = new AbortController();
  /** @type {ReturnType<import("./client.js").Client["feed"]> | null} */
  #feed = null;
  #list = new ConversationList();
  /** @type {Promise<void> | null} */
  #loadingMore = null;
  #calls;
  #batches;
  #wanted = new Wanted({ fetchOne: (id) => this.#fetchWanted(id), startOver: () => this.#startOver() });
  #threads = new Threads((id) => this.#surround(id));
  #scheduled = new Scheduled();
  #unread = new Unread();
  #unmatched = new Unmatched();
  #comparison = new WhenQuiet(() => void this.#compare().catch(() => {}));

  /** @param {import("./client.js").Client} client */
  constructor(client) {
    super();
    this.client = client;
    this.#calls = new Calls((query) => this.#get("/v1/calls", query));
    this.#batches = new Batches({
      get: (id) => this.#get(`/v1/batches/${id}`),
      position: () => this.#position,
      onChange: (batch) => this.#changes.tell("batch", batch, batch.batch_id),
    });
  }

  /** Follows the feed, then loads what is shown first. Rejects when the API refuses. */
  async start() {
    this.#feed = this.client.feed({
      onEntry: (entry) => this.#apply(entry),
      onReset: () => void this.#reset().catch(() => {}),
      onState: (state) => this.#connect(state),
      signal: this.#stopping.signal,
    });
    this.#feed.done.catch((problem) => this.#changes.tell("refused", problem));
    await this.#feed.ready;
    await this.#loadAll();
  }

  stop() {
    this.#stopping.abort();
    this.#comparison.stop();
  }

  /** Unread messages over all conversations. */
  get totalUnread() {
    return this.#unread.total;
  }

  /** How many messages of unknown senders there are, at most 1,000; null until it is known. */
  get unmatched() {
    return this.#unmatched.count;
  }

  /** What is loaded, newest first. The same array always. @returns {readonly Conversation[]} */
  get conversations() {
    return this.#list.items;
  }

  get hasMoreConversations() {
    return this.#list.nextCursor !== null;
  }

  /** @returns {Promise<void>} The next page is in `conversations`. */
  loadMoreConversations() {
    if (!this.hasMoreConversations) return Promise.resolve();
    this.#loadingMore ??= this.#loadMore().finally(() => (this.#loadingMore = null));
    return this.#loadingMore;
  }

  /** @param {string} id @returns {Conversation | undefined} */
  conversation(id) {
    return this.#list.find(id);
  }

  /** @param {string} id @returns {Promise<Conversation>} From then on it is live. */
  async loadConversation(id) {
    const since = this.#position;
    const conversation = await this.#get(`/v1/conversations/${id}`);
    this.#list.merge(conversation, since);
    this.#changes.tell("conversations");
    return this.#list.find(id) ?? conversation;
  }

  /**
   * By name or number. The page does not change by itself; its conversations are live by their ids.
   *
   * @param {string} query
   * @param {{ unread?: boolean, limit?: number, cursor?: string, signal?: AbortSignal }} [options]
   * @returns {Promise<{ items: Conversation[], next_cursor: string | null }>}
   */
  async searchConversations(query, { unread, limit = PAGE, cursor, signal } = {}) {
    const since = this.#position;
    const parameters = { query: query || undefined, unread: unread || undefined, limit, cursor };
    const page = await this.client.get("/v1/conversations", parameters, { signal });
    for (const conversation of page.items) this.#list.merge(conversation, since);
    this.#changes.tell("conversations");
    return { items: page.items, next_cursor: page.next_cursor };
  }

  /** @param {string} id Of the conversation. @returns {Promise<Thread>} Loaded, and live from then on. */
  thread(id) {
    return this.#threads.load(id);
  }

  /**
   * Sends into a conversation. The send is in the thread at once, and stays there with its problem when it
   * fails. With `send_at` it is scheduled instead: the thread shows nothing, and a refusal is thrown.
   *
   * @param {string} conversationId
   * @param {import("./store/outbox.js").NewSend & { send_at?: string | null }} send
   * @returns {Promise<Message | null>} Null: it failed, or it is scheduled.
   */
  async send(conversationId, { send_at: sendAt = null, ...send }) {
    if (sendAt !== null) return this.#schedule(conversationId, { ...send, send_at: sendAt });
    const message = await this.#threads.open(conversationId).send(send);
    if (message && this.#list.addMessage(message, this.#position, true)) this.#changes.tell("conversations");
    return message;
  }

  /** Everything that is there now is read. @param {string} conversationId */
  async markRead(conversationId) {
    const conversation = this.conversation(conversationId);
    const last = this.#threads.find(conversationId)?.newest ?? conversation?.last_message;
    if (!last || conversation?.unread === 0) return;
    const since = this.#position;
    const path = `/v1/conversations/${conversationId}/read`;
    const state = await this.client.post(path, { message_id: last.message_id });
    // What came meanwhile is counted by the feed.
    if (this.#position === since) this.#applyRead(state, since);
  }

  /** Erases it, everywhere. @param {string} id @returns {Promise<any>} The receipt. */
  async deleteConversation(id) {
    const receipt = await this.client.delete(`/v1/conversations/${id}`);
    this.#forget(id);
    return receipt;
  }

  /**
   * @param {string} id
   * @param {{ opted_out: boolean, reason: string }} consent
   * @returns {Promise<Conversation>}
   */
  async setConsent(id, { opted_out, reason }) {
    const conversation = await this.client.put(`/v1/conversations/${id}/consent`, { opted_out, reason });
    // Whose unread messages it counts is not said.
    this.#list.update(conversation, this.#position);
    this.#changes.tell("conversations");
    return this.conversation(id) ?? conversation;
  }

  /** @param {string} messageId @returns {Promise<Message | null>} The new message. */
  async sendAgain(messageId) {
    const since = this.#position;
    const { messages } = await this.client.post(`/v1/messages/${messageId}/send-again`);
    this.#mergeMessages(messages, since);
    return messages[0] ?? null;
  }

  /**
   * Why a message waits, and until about when. Null: it does not, or nobody can say.
   *
   * @param {string} messageId
   * @returns {Promise<{ reason: string, until: string | null } | null>}
   */
  async waiting(messageId) {
    const since = this.#position;
    const { waiting, ...message } = await this.client.get(`/v1/messages/${messageId}`);
    this.#mergeMessages([message], since);
    return waiting;
  }

  /** Those that were looked at. @returns {ReadonlyMap<string, Batch>} */
  get batches() {
    return this.#batches.known;
  }

  /** @param {string} id @returns {Promise<Batch>} From then on it is live. */
  batch(id) {
    return this.#batches.fetch(id);
  }

  /** Stops what is not sent yet. @param {string} id @returns {Promise<Batch>} */
  async cancelBatch(id) {
    const seq = this.#position;
    const batch = await this.client.post(`/v1/batches/${id}/cancel`);
    if (this.#position === seq) this.#batches.update(batch, seq);
    return this.#batches.fetch(id);
  }

  /**
   * Sends that wait for their time, soonest first.
   *
   * @param {string} [conversationId] Only those into it or to its people.
   * @returns {ScheduledSend[]}
   */
  scheduled(conversationId) {
    if (conversationId === undefined) return this.#scheduled.list();
    return this.#scheduled.listOf(this.conversation(conversationId), conversationId);
  }

  /**
   * @param {string} id
   * @param {{ body?: string, send_at?: string }} change
   * @returns {Promise<ScheduledSend>}
   */
  async changeScheduled(id, change) {
    return this.#putScheduled(await this.client.patch(`/v1/scheduled/${id}`, change));
  }

  /** @param {string} id @returns {Promise<ScheduledSend>} */
  async cancelScheduled(id) {
    return this.#putScheduled(await this.client.delete(`/v1/scheduled/${id}`));
  }

  /** Loads the settings again: what changes without a word of the feed, as a purchase that is under way. */
  async loadSettings() {
    this.putSettings(await this.#get("/v1/settings"));
    return this.settings;
  }

  /** The settings as an answer told them. @param {any} settings */
  putSettings(settings) {
    this.settings = settings;
    this.#changes.tell("settings");
  }

  get #position() {
    return this.#feed?.position ?? 0;
  }

  /** What the store fetches by itself is fetched until it comes. */
  get #patient() {
    return { patienceMs: Infinity, signal: this.#stopping.signal };
  }

  #get(path, query) {
    return this.client.get(path, query, this.#patient);
  }

  // What is loaded.

  async #loadAll() {
    await Promise.all([
      this.loadSettings(),
      this.#startOver(),
      this.#loadScheduled(),
      this.#countUnmatched(),
    ]);
  }

  /** The first page of the list, and nothing that is not in it. */
  async #startOver() {
    const since = this.#position;
    const limit = this.#list.items.length > PAGE ? LARGE_PAGE : PAGE;
    const page = await this.#get("/v1/conversations", { limit });
    this.#list.startOver(page, since);
    this.#takeTotal(page, since);
    for (const id of this.#threads.listLast()) if (!this.#list.find(id)) this.#wanted.add(id);
  }

  /** After an absence the feed tells what happened, with contents of now: counting it may miss by some. */
  async #compare() {
    const since = this.#position;
    const page = await this.#get("/v1/conversations", { limit: PAGE });
    for (const conversation of page.items) this.#list.merge(conversation, since);
    this.#takeTotal(page, since);
  }

  #takeTotal(page, since) {
    this.#unread.takePage(page, since);
    this.#changes.tell("conversations");
    this.#changes.tell("unread");
  }

  async #loadMore() {
    const since = this.#position;
    const cursor = this.#list.nextCursor;
    const page = await this.#get("/v1/conversations", { limit: PAGE, cursor });
    // Meanwhile the list may have begun anew.
    if (cursor !== this.#list.nextCursor) return;
    this.#list.addPage(page, since);
    this.#changes.tell("conversations");
  }

  /** A conversation of which the feed told, or that a thread shows. */
  async #fetchWanted(id) {
    try {
      await this.loadConversation(id);
    } catch (problem) {
      if (problem.status === 404) this.#forget(id);
    }
  }

  async #loadScheduled() {
    const since = this.#position;
    const sends = [];
    for await (const page of this.client.pages("/v1/scheduled", { limit: LARGE_PAGE }, this.#patient)) {
      sends.push(...page.items);
    }
    this.#scheduled.replace(sends, since);
    this.#changes.tell("scheduled");
  }

  async #countUnmatched() {
    const pages = this.client.pages("/v1/unmatched", { limit: LARGE_PAGE }, this.#patient);
    await this.#unmatched.add(pages, this.#position);
    this.#changes.tell("unmatched");
  }

  /** @returns {import("./store/thread.js").Surroundings} */
  #surround(id) {
    return {
      client: this.client,
      calls: this.#calls,
      position: () => this.#position,
      managerId: () => this.manager?.id ?? null,
      onChange: () => this.#changes.tell("thread", id, id),
      ...this.#patient,
    };
  }

  /** @param {string} conversationId @param {{ body: string, media_urls?: string[], send_at: string }} send */
  async #schedule(conversationId, { body, media_urls: mediaUrls = [], send_at: sendAt }) {
    const message = { recipients: [{ conversation_id: conversationId }], body, send_at: sendAt };
    const { scheduled } = await this.client.send({ ...message, media_urls: mediaUrls });
    if (scheduled) this.#putScheduled(scheduled);
    return null;
  }

  #putScheduled(send) {
    this.#scheduled.put(send, this.#position);
    this.#changes.tell("scheduled");
    return send;
  }

  /** Messages of an answer, where they are shown. */
  #mergeMessages(messages, since) {
    for (const message of messages) this.#threads.find(message.conversation_id)?.merge([message], since);
  }

  #forget(id) {
    this.#list.remove(id);
    this.#calls.remove(id);
    this.#threads.erase(id);
    this.#changes.tell("conversations");
    this.#changes.tell("deleted", id, id);
  }

  // What the feed tells.

  #connect(state) {
    const isBack = state === "live" && this.connection === "away";
    this.connection = state;
    this.#changes.tell("connection");
    if (isBack) this.#comparison.ask();
  }

  /** What is shown is fetched again. */
  async #reset() {
    this.#list.distrust();
    this.#calls.distrust();
    this.#threads.distrust();
    const threads = this.#threads.listLast().map((id) => this.thread(id));
    await Promise.allSettled([this.#loadAll(), this.#batches.refresh(), ...threads]);
  }

  /** @param {import("./client.js").FeedEntry} entry */
  #apply({ seq, event, data }) {
    this.#comparison.delay();
    this.#rules[event]?.(data, seq);
  }

  /**
   * What each event changes. What is not known is of a later version of the API, and nothing that is shown.
   */
  #rules = {
    "message.created": (message, seq) => this.#applyMessage(message, seq, true),
    "message.updated": (message, seq) => this.#applyMessage(message, seq, false),
    "conversation.updated": (conversation, seq) => {
      if (!this.#list.update(conversation, seq)) this.#wanted.add(conversation.conversation_id);
      this.#changes.tell("conversations");
    },
    "conversation.read": (state, seq) => this.#applyRead(state, seq),
    "conversation.deleted": ({ conversation_id: id }) => {
      this.#forget(id);
      // How many of its messages were unread is not said.
      this.#comparison.ask();
    },
    "conversation.event": (line) => this.#threads.find(line.conversation_id)?.applyEvent(line),
    "call.updated": (call) => {
      this.#calls.put(call);
      this.#changes.tell("call", call, call.call_id);
      this.#threads.find(call.conversation_id)?.changed();
    },
    "person.updated": (person) => this.#changes.tell("person", person, person.person_id),
    "company.updated": (company) => this.#applySettings(company),
    "number.changed": (number) => this.#applySettings({ messages_number: number, provisioning: null }),
    "batch.updated": (batch, seq) => this.#batches.update(batch, seq),
    "scheduled.updated": (send) => this.#putScheduled(send),
    "unmatched.updated": ({ messages }, seq) => {
      this.#unmatched.set(messages, seq);
      this.#changes.tell("unmatched");
    },
  };

  #applyMessage(message, seq, isCreated) {
    const id = message.conversation_id;
    if (this.#list.isDeleted(id)) return;
    if (!this.#list.addMessage(message, seq, isCreated)) this.#wanted.add(id);
    const isInbound = isCreated && message.direction === "inbound";
    if (isInbound && !this.#unread.add(message, seq)) this.#comparison.ask();
    this.#threads.find(id)?.apply(message, seq, isCreated);
    this.#changes.tell("conversations");
    this.#changes.tell("unread");
  }

  #applyRead({ conversation_id: id, unread, total_unread: total }, seq) {
    this.#list.setUnread(id, unread, seq);
    this.#unread.set(total, seq);
    this.#changes.tell("conversations");
    this.#changes.tell("unread");
  }

  /** The feed does not tell everything that follows, as when the next change is allowed. */
  #applySettings(known) {
    if (this.settings) this.putSettings({ ...this.settings, ...known });
    this.loadSettings().catch(() => {});
  }
}
