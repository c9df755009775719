/**
 * A client that plays the API for the tests of the store. It is no file of the page, and so its name ends
 * otherwise.
 *
 * @module testing/fake-client
 */

import { setTimeout as sleep } from "node:timers/promises";

import { Problem } from "../client.js";
import { Store } from "../store.js";

export const MIA = { id: "mia", name: "Mia Manager" };
export const MAX = { id: "max", name: "Max Manager" };

export const minute = (n) => new Date(Date.UTC(2026, 2, 2, 12, n)).toISOString().replace(".000", "");

/** A message of conversation `c`, `n` minutes past noon. */
export function message(c, n, more = {}) {
  const isOutbound = more.direction === "outbound";
  return {
    message_id: `m-${c}-${String(n).padStart(5, "0")}`,
    conversation_id: c,
    direction: "inbound",
    body: `text ${n}`,
    media: [],
    from: "+14155550101",
    to: "+14155550100",
    manager: isOutbound ? MIA : null,
    status: isOutbound ? "queued" : "received",
    error: null,
    segments: 1,
    created_at: minute(n),
    sent_at: null,
    delivered_at: null,
    ...more,
  };
}

export const outbound = (c, n, more = {}) => message(c, n, { direction: "outbound", ...more });

/** A conversation whose last message came `n` minutes past noon. */
export function conversation(c, n, more = {}) {
  return {
    conversation_id: c,
    number: "+14155550101",
    people: [{ person_id: `p-${c}`, kind: "tenant", name: `Person ${c}` }],
    last_message: message(c, n),
    sendable: true,
    reason: null,
    consent: null,
    opened_at: minute(0),
    unread: 0,
    newer_conversation_id: null,
    older_conversation_ids: [],
    ...more,
  };
}

/** As the feed tells of one. */
export function told(each) {
  const { unread, ...rest } = each;
  return rest;
}

/** Plays the API: `answers` by `METHOD path`, as a value, an error, or a function of the request. */
export class FakeClient {
  requests = [];
  position = 100;
  answers = {
    "GET /v1/settings": { company_name: "Acme", messages_number: null },
    "GET /v1/conversations": { items: [], next_cursor: null, total_unread: 0 },
    "GET /v1/scheduled": { items: [], next_cursor: null },
    "GET /v1/unmatched": { items: [], next_cursor: null },
    "GET /v1/calls": { items: [], next_cursor: null },
  };

  feed(options) {
    this.options = options;
    const feed = { ready: Promise.resolve(this.position), done: new Promise(() => {}), close() {} };
    Object.defineProperty(feed, "position", { get: () => this.position });
    options.onState("live");
    return feed;
  }

  /** The feed says something. */
  tell(event, data) {
    this.position += 1;
    this.options.onEntry({ seq: this.position, event, data });
  }

  async #answer(method, path, detail) {
    this.requests.push({ method, path, ...detail });
    const answer = this.answers[`${method} ${path}`];
    if (answer === undefined) throw new Problem(404, { code: "not_found", detail: `${method} ${path}` });
    const value = typeof answer === "function" ? await answer(detail) : answer;
    if (value instanceof Error) throw value;
    return structuredClone(value);
  }

  get = (path, query) => this.#answer("GET", path, { query });
  put = (path, body) => this.#answer("PUT", path, { body });
  patch = (path, body) => this.#answer("PATCH", path, { body });
  post = (path, body) => this.#answer("POST", path, { body });
  delete = (path) => this.#answer("DELETE", path, {});
  send = (body, { idempotencyKey } = {}) =>
    this.#answer("POST", "/v1/messages", { body, key: idempotencyKey });

  async *pages(path, query) {
    yield await this.get(path, query);
  }

  asked(method, path) {
    return this.requests.filter((each) => each.method === method && each.path === path);
  }

  /** A list with conversations, and the messages of each. */
  has(conversations, { next_cursor = null, total_unread = 0, messages = {} } = {}) {
    this.answers["GET /v1/conversations"] = { items: conversations, next_cursor, total_unread };
    for (const each of conversations) {
      const id = each.conversation_id;
      const path = `GET /v1/conversations/${id}`;
      this.answers[path] = each;
      this.answers[`${path}/messages`] = {
        items: messages[id] ?? [each.last_message],
        next_cursor: null,
      };
      this.answers[`${path}/events`] = { items: [], next_cursor: null };
    }
    return this;
  }
}

/** Something that is answered when the test says so. */
export function later() {
  let settle;
  const promise = new Promise((resolve) => (settle = resolve));
  return { answer: () => promise, settle };
}

export async function started(t, api) {
  const store = new Store(api);
  store.manager = { ...MIA, role: "manager", license_id: "acme" };
  t.after(() => store.stop());
  await store.start();
  return store;
}

export const ids = (store) => store.conversations.map(({ conversation_id: id }) => id);
export const shown = (thread) =>
  thread.items.map(({ kind, data }) =>
    kind === "pending" ? `${data.body}…` : (data.body ?? data.kind ?? "call"),
  );
/** What was asked for by the way is answered. */
export const settled = () => sleep(80);
