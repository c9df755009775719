/** Threads, in a store against a client that plays the API. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { FakeClient, conversation, later, message, minute, shown, started } from "../testing/fake-client.mjs";

// Threads.

test("a thread has messages, lines and calls in the order of their times", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)], {
    messages: { a: [message("a", 9), message("a", 3)] },
  });
  const line = { event_id: "e", conversation_id: "a", kind: "opted_out", occurred_at: minute(3) };
  api.answers["GET /v1/conversations/a/events"] = { items: [line], next_cursor: null };
  const call = { call_id: "k", conversation_id: "a", result: null, started_at: minute(6) };
  api.answers["GET /v1/calls"] = {
    items: [call, { ...call, call_id: "l", conversation_id: "b" }],
    next_cursor: null,
  };
  const store = await started(t, api);
  const thread = await store.thread("a");
  assert.deepEqual(shown(thread), ["text 3", "opted_out", "call", "text 9"]);
  api.tell("call.updated", { ...call, result: "answered" });
  api.tell("conversation.event", { ...line, event_id: "f", kind: "opted_in", occurred_at: minute(10) });
  assert.deepEqual(shown(thread), ["text 3", "opted_out", "call", "text 9", "opted_in"]);
  assert.equal(thread.items[2].data.result, "answered");
});

test("times with and without fractions stand in their order", async (t) => {
  const [whole, half] = [message("a", 3), message("a", 4, { created_at: "2026-03-02T12:03:00.5Z" })];
  const api = new FakeClient().has([conversation("a", 9)], { messages: { a: [half, whole] } });
  const store = await started(t, api);
  assert.deepEqual(shown(await store.thread("a")), ["text 3", "text 4"]);
});

test("older pages come before what is shown, and older lines only with them", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const line = { event_id: "e", conversation_id: "a", kind: "opted_out", occurred_at: minute(2) };
  api.answers["GET /v1/conversations/a/events"] = { items: [line], next_cursor: null };
  api.answers["GET /v1/conversations/a/messages"] = ({ query }) =>
    query.before
      ? { items: [message("a", 3), message("a", 1)], next_cursor: null }
      : { items: [message("a", 9), message("a", 5)], next_cursor: "m-a-00005" };
  const store = await started(t, api);
  const thread = await store.thread("a");
  assert.deepEqual([shown(thread), thread.hasOlder], [["text 5", "text 9"], true]);
  await thread.loadOlder();
  assert.deepEqual(
    [shown(thread), thread.hasOlder],
    [["text 1", "opted_out", "text 3", "text 5", "text 9"], false],
  );
});

test("what did not change is the same object, so it need not be drawn anew", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)], {
    messages: { a: [message("a", 9), message("a", 3)] },
  });
  const store = await started(t, api);
  const thread = await store.thread("a");
  const before = thread.items;
  assert.equal(thread.items, before);
  api.tell("message.created", message("a", 10));
  assert.deepEqual(
    thread.items.slice(0, 2).map((item, n) => item === before[n]),
    [true, true],
  );
});

test("messages that the feed brings while the thread loads are neither lost nor double", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const page = later();
  api.answers["GET /v1/conversations/a/messages"] = page.answer;
  const store = await started(t, api);
  const loading = store.thread("a");
  await sleep(5);
  api.tell("message.created", message("a", 10));
  api.tell("message.created", message("a", 11));
  page.settle({ items: [message("a", 10), message("a", 9)], next_cursor: null });
  assert.deepEqual(shown(await loading), ["text 9", "text 10", "text 11"]);
});

test("a message that changed while an answer with it was under way stays as the feed told it", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const answer = later();
  api.answers["GET /v1/messages/m"] = answer.answer;
  const store = await started(t, api);
  const thread = await store.thread("a");
  const waiting = store.waiting("m");
  api.tell("message.updated", message("a", 9, { media: [{ state: "stored" }] }));
  answer.settle({ ...message("a", 9, { media: [{ state: "pending" }] }), waiting: null });
  await waiting;
  assert.equal(thread.items[0].data.media[0].state, "stored");
});

test("threads that were not asked for in a while are let go", async (t) => {
  const many = Array.from({ length: 40 }, (_, n) => conversation(`c-${n}`, 60 - n));
  const api = new FakeClient().has(many);
  const store = await started(t, api);
  const first = await store.thread("c-0");
  const second = await store.thread("c-1");
  for (let n = 2; n < 30; n += 1) await store.thread(`c-${n}`);
  assert.equal(await store.thread("c-0"), first);
  await store.thread("c-30");
  assert.equal(await store.thread("c-0"), first);
  assert.notEqual(await store.thread("c-1"), second);
});
