/** Sends, in a store against a client that plays the API. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { NetworkError, Problem } from "../client.js";
import { Store } from "../store.js";
import {
  FakeClient,
  MAX,
  conversation,
  later,
  message,
  minute,
  outbound,
  shown,
  started,
} from "../testing/fake-client.mjs";

// Sending.

/** A thread of one message, and a send that is answered when the test says so. */
async function sending(t, send = { body: "Hello" }) {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  const thread = await store.thread("a");
  const answer = later();
  api.answers["POST /v1/messages"] = answer.answer;
  const result = store.send("a", send);
  const accept = (...messages) => answer.settle({ messages, rejected: [] });
  const refuse = (error) => answer.settle(error);
  return { api, store, thread, result, accept, refuse };
}

test("a send is visible at once and is replaced by its answer, under the same key", async (t) => {
  const { thread, result, accept, api, store } = await sending(t);
  assert.deepEqual(shown(thread), ["text 9", "Hello…"]);
  const { key } = thread.items[1];
  await sleep(5);
  accept(outbound("a", 10, { body: "Hello" }));
  assert.equal((await result).message_id, "m-a-00010");
  assert.deepEqual([shown(thread), thread.items[1].key], [["text 9", "Hello"], key]);
  assert.equal(store.conversation("a").last_message.body, "Hello");
  api.tell("message.created", outbound("a", 10, { body: "Hello" }));
  assert.deepEqual([shown(thread), thread.items[1].key], [["text 9", "Hello"], key]);
});

test("a message that the feed brings before the answer is not shown twice", async (t) => {
  const { thread, result, accept, api } = await sending(t);
  await sleep(5);
  const { key } = thread.items[1];
  api.tell("message.created", outbound("a", 10, { body: "Hello" }));
  assert.deepEqual([shown(thread), thread.items[1].key], [["text 9", "Hello"], key]);
  api.tell("message.updated", outbound("a", 10, { body: "Hello", status: "sent" }));
  accept(outbound("a", 10, { body: "Hello" }));
  await result;
  assert.deepEqual([shown(thread), thread.items[1].data.status], [["text 9", "Hello"], "sent"]);
});

test("what another manager writes meanwhile is not taken for the send", async (t) => {
  const { thread, result, accept, api } = await sending(t);
  await sleep(5);
  api.tell("message.created", outbound("a", 10, { body: "Hello", manager: MAX }));
  api.tell("message.created", outbound("a", 11, { body: "Other" }));
  assert.deepEqual(shown(thread), ["text 9", "Hello", "Other", "Hello…"]);
  accept(outbound("a", 12, { body: "Hello" }));
  await result;
  assert.deepEqual(shown(thread), ["text 9", "Hello", "Other", "Hello"]);
});

test("the same text from another window is not lost when the answer names another message", async (t) => {
  const { thread, result, accept, api } = await sending(t);
  await sleep(5);
  api.tell("message.created", outbound("a", 10, { body: "Hello" }));
  accept(outbound("a", 11, { body: "Hello" }));
  await result;
  assert.deepEqual(shown(thread), ["text 9", "Hello", "Hello"]);
  assert.equal(new Set(thread.items.map(({ key }) => key)).size, 3);
});

test("a refused send stays with its problem, and is tried again under a new key", async (t) => {
  const { thread, result, refuse, api } = await sending(t);
  refuse(new Problem(409, { code: "recipient_opted_out" }));
  assert.equal(await result, null);
  const { data } = thread.items[1];
  assert.deepEqual([data.state, data.problem.code], ["failed", "recipient_opted_out"]);
  api.answers["POST /v1/messages"] = { messages: [outbound("a", 10, { body: "Hello" })], rejected: [] };
  await data.retry();
  const [first, second] = api.asked("POST", "/v1/messages");
  assert.notEqual(first.key, second.key);
  assert.deepEqual(shown(thread), ["text 9", "Hello"]);
});

test("a send that may have arrived is tried again under its key, word for word", async (t) => {
  const { thread, result, refuse, api } = await sending(t);
  refuse(new NetworkError("away"));
  await result;
  api.tell("conversation.event", {
    event_id: "e",
    conversation_id: "a",
    kind: "help_requested",
    occurred_at: minute(10),
  });
  api.answers["POST /v1/messages"] = { messages: [outbound("a", 11, { body: "Hello" })], rejected: [] };
  await thread.items.at(-1).data.retry();
  const [first, second] = api.asked("POST", "/v1/messages");
  assert.deepEqual([second.key, second.body], [first.key, first.body]);
});

test("a send that failed without an answer goes when the feed shows that it arrived", async (t) => {
  const { thread, result, refuse, api } = await sending(t);
  refuse(new NetworkError("away"));
  await result;
  api.tell("message.created", outbound("a", 10, { body: "Hello" }));
  assert.deepEqual(shown(thread), ["text 9", "Hello"]);
});

test("a failed send can be discarded", async (t) => {
  const { thread, result, refuse } = await sending(t);
  refuse(new Problem(422, { code: "body_too_long" }));
  await result;
  thread.items[1].data.discard();
  assert.deepEqual(shown(thread), ["text 9"]);
});

test("sends go out one after the other, in their order", async (t) => {
  const { store, thread, accept, api, result } = await sending(t, { body: "one" });
  const second = store.send("a", { body: "two" });
  await sleep(5);
  assert.deepEqual(
    [shown(thread), api.asked("POST", "/v1/messages").length],
    [["text 9", "one…", "two…"], 1],
  );
  accept(outbound("a", 10, { body: "one" }));
  await result;
  await second;
  assert.deepEqual(
    api.asked("POST", "/v1/messages").map(({ body }) => body.body),
    ["one", "two"],
  );
});

test("a send says up to where the thread was seen", async (t) => {
  const { api, thread } = await sending(t);
  await sleep(5);
  assert.equal(api.asked("POST", "/v1/messages")[0].body.last_seen_seq, 100);
  assert.equal(thread.lastSeenSeq, 100);
});

test("a send into a conversation that has moved on shows what is new, and goes at the next try", async (t) => {
  const { thread, result, refuse, api } = await sending(t);
  refuse(new Problem(409, { code: "conversation_moved_on", unseen: [message("a", 10)] }));
  await result;
  assert.deepEqual(shown(thread), ["text 9", "text 10", "Hello…"]);
  const { data } = thread.items[2];
  assert.equal(data.problem.code, "conversation_moved_on");
  api.answers["POST /v1/messages"] = { messages: [outbound("a", 11, { body: "Hello" })], rejected: [] };
  await data.retry();
  const [first, second] = api.asked("POST", "/v1/messages");
  assert.notEqual(first.key, second.key);
  assert.equal("last_seen_seq" in second.body, false);
});

test("a conversation that has moved on only by what is shown already does not hold a send up", async (t) => {
  const { thread, result, refuse, api } = await sending(t);
  api.answers["POST /v1/messages"] = { messages: [outbound("a", 11, { body: "Hello" })], rejected: [] };
  refuse(new Problem(409, { code: "conversation_moved_on", unseen: [message("a", 9)] }));
  await result;
  assert.deepEqual(shown(thread), ["text 9", "Hello"]);
});

test("two quick sends do not hold each other up", async (t) => {
  const { store, thread, accept, api, result } = await sending(t, { body: "one" });
  const second = store.send("a", { body: "two" });
  await sleep(5);
  const first = outbound("a", 10, { body: "one" });
  // The feed does not tell of the first one in time.
  const movedOn = new Problem(409, { code: "conversation_moved_on", unseen: [first] });
  const accepted = { messages: [outbound("a", 11, { body: "two" })], rejected: [] };
  api.answers["POST /v1/messages"] = ({ body }) => ("last_seen_seq" in body ? movedOn : accepted);
  accept(first);
  await result;
  await second;
  assert.deepEqual(shown(thread), ["text 9", "one", "two"]);
});

test("a text whose merge fields were filled in is not shown twice", async (t) => {
  const { thread, accept, api, result } = await sending(t, { body: "Hi {{person.first_name}}" });
  await sleep(5);
  api.tell("message.created", outbound("a", 10, { body: "Hi Ana" }));
  assert.deepEqual(shown(thread), ["text 9", "Hi Ana"]);
  accept(outbound("a", 10, { body: "Hi Ana" }));
  await result;
  assert.deepEqual(shown(thread), ["text 9", "Hi Ana"]);
});

test("a send for later shows in the scheduled ones and not in the thread", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  const thread = await store.thread("a");
  const scheduled = {
    scheduled_id: "s",
    recipients: [{ conversation_id: "a" }],
    send_at: minute(60),
    status: "waiting",
  };
  api.answers["POST /v1/messages"] = { messages: [], rejected: [], scheduled };
  assert.equal(await store.send("a", { body: "Later", send_at: minute(60) }), null);
  assert.deepEqual(
    [shown(thread), store.scheduled("a").length, store.scheduled("b").length],
    [["text 9"], 1, 0],
  );
  api.answers["POST /v1/messages"] = new Problem(422, { code: "send_at_out_of_range" });
  await assert.rejects(store.send("a", { body: "Later", send_at: minute(0) }), {
    code: "send_at_out_of_range",
  });
});

test("scheduled sends to the people of a conversation are its own, and go when they have ended", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const send = {
    scheduled_id: "s",
    recipients: [{ person_id: "p-a" }],
    send_at: minute(60),
    status: "waiting",
  };
  api.answers["GET /v1/scheduled"] = { items: [send], next_cursor: null };
  const store = await started(t, api);
  assert.equal(store.scheduled("a").length, 1);
  api.tell("scheduled.updated", { ...send, status: "sent" });
  assert.equal(store.scheduled("a").length, 0);
});

test("what the feed tells of scheduled sends while they are fetched stays so", async (t) => {
  const api = new FakeClient();
  const list = later();
  api.answers["GET /v1/scheduled"] = list.answer;
  const send = (id) => ({ scheduled_id: id, recipients: [], send_at: minute(60), status: "waiting" });
  const store = new Store(api);
  t.after(() => store.stop());
  const starting = store.start();
  await sleep(5);
  api.tell("scheduled.updated", { ...send("ended"), status: "canceled" });
  api.tell("scheduled.updated", send("new"));
  list.settle({ items: [send("ended"), send("old")], next_cursor: null });
  await starting;
  assert.deepEqual(
    store
      .scheduled()
      .map((each) => each.scheduled_id)
      .sort(),
    ["new", "old"],
  );
});
