/** The store against a client that plays the API: reading, deleting, and what the feed tells. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { Store } from "./store.js";
import {
  FakeClient,
  conversation,
  ids,
  later,
  message,
  minute,
  outbound,
  settled,
  shown,
  started,
  told,
} from "./testing/fake-client.mjs";

// Reading, deleting.

test("marking as read names the newest message, and asks only when something is unread", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 2 })], { total_unread: 2 });
  api.answers["POST /v1/conversations/a/read"] = { conversation_id: "a", unread: 0, total_unread: 0 };
  const store = await started(t, api);
  await store.thread("a");
  await store.markRead("a");
  await store.markRead("a");
  assert.deepEqual(
    api.asked("POST", "/v1/conversations/a/read").map(({ body }) => body),
    [{ message_id: "m-a-00009" }],
  );
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [0, 0]);
});

test("a message that comes while something is marked as read stays unread", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 2 })], { total_unread: 2 });
  const answer = later();
  api.answers["POST /v1/conversations/a/read"] = answer.answer;
  const store = await started(t, api);
  const marking = store.markRead("a");
  api.tell("conversation.read", { conversation_id: "a", unread: 0, total_unread: 0 });
  api.tell("message.created", message("a", 10));
  answer.settle({ conversation_id: "a", unread: 0, total_unread: 0 });
  await marking;
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [1, 1]);
});

test("messages that are older than what was fetched count when the feed brings them", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 20)]);
  const store = await started(t, api);
  // What an unknown sender wrote goes into the conversation, under its own times.
  api.has([conversation("a", 9, { unread: 2 }), conversation("b", 20)], { total_unread: 2 });
  api.tell("conversation.updated", told(conversation("a", 9)));
  api.tell("message.created", message("a", 3));
  api.tell("message.created", message("a", 4));
  await settled();
  assert.equal(store.conversation("a").unread, 2);
  await sleep(1_100);
  assert.equal(store.totalUnread, 2);
});

test("a deleted conversation vanishes everywhere and does not come back", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)]);
  const store = await started(t, api);
  const thread = await store.thread("a");
  const gone = [];
  store.addEventListener("deleted", ({ detail }) => gone.push(detail));
  api.tell("conversation.deleted", { conversation_id: "a", messages: 1 });
  assert.deepEqual(
    [ids(store), store.conversation("a"), shown(thread), thread.isDeleted],
    [["b"], undefined, [], true],
  );
  api.tell("message.updated", message("a", 9));
  api.tell("conversation.updated", told(conversation("a", 9)));
  await store.searchConversations("");
  assert.deepEqual(ids(store), ["b"]);
  await settled();
  assert.deepEqual(gone, ["a"]);
});

test("the unread messages of a deleted conversation do not count any more", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)]);
  const store = await started(t, api);
  api.tell("message.created", message("b", 10));
  assert.equal(store.totalUnread, 1);
  api.has([conversation("a", 9)]);
  api.tell("conversation.deleted", { conversation_id: "b", messages: 2 });
  await sleep(1_100);
  assert.equal(store.totalUnread, 0);
});

test("deleting a conversation shows at once, before the feed tells of it", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)]);
  api.answers["DELETE /v1/conversations/a"] = { conversation_id: "a", messages: 1 };
  const store = await started(t, api);
  assert.equal((await store.deleteConversation("a")).messages, 1);
  assert.deepEqual(ids(store), ["b"]);
});

test("a noted STOP shows at once and changes nothing about what is unread", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 2 })]);
  api.answers["PUT /v1/conversations/a/consent"] = conversation("a", 9, { sendable: false, unread: 0 });
  const store = await started(t, api);
  const changed = await store.setConsent("a", { opted_out: true, reason: "Said so." });
  assert.deepEqual([changed.sendable, changed.unread], [false, 2]);
});

// The feed's other words.

test("a reset fetches again what is shown", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)]);
  const store = await started(t, api);
  const thread = await store.thread("a");
  api.has([conversation("c", 30), conversation("a", 20, { unread: 7 })], { total_unread: 7 });
  api.answers["GET /v1/settings"] = { company_name: "Acme Two" };
  api.position = 5_000;
  api.options.onReset(5_000);
  await settled();
  assert.deepEqual([ids(store), store.conversation("a").unread, store.totalUnread], [["c", "a"], 7, 7]);
  assert.deepEqual([store.conversation("b"), store.settings.company_name], [undefined, "Acme Two"]);
  assert.deepEqual(shown(thread), ["text 20"]);
});

test("after a reset the conversation of a shown thread is still known", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)]);
  const store = await started(t, api);
  await store.thread("b");
  api.answers["GET /v1/conversations"] = { items: [conversation("a", 9)], next_cursor: "2", total_unread: 0 };
  api.options.onReset(101);
  await settled();
  assert.deepEqual([ids(store), store.conversation("b").conversation_id], [["a"], "b"]);
});

test("a conversation that changes right after a reset is not taken for a new one", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  const page = later();
  const z = conversation("z", 30, { opened_at: minute(20), unread: 4 });
  api.answers["GET /v1/conversations"] = page.answer;
  api.answers["GET /v1/conversations/z"] = z;
  api.options.onReset(100);
  api.tell("conversation.updated", told(z));
  page.settle({ items: [z], next_cursor: null, total_unread: 4 });
  await settled();
  assert.equal(store.conversation("z").unread, 4);
});

test("what comes right after a reset is not counted on what was known before it", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 3 })], { total_unread: 3 });
  const store = await started(t, api);
  const page = later();
  api.answers["GET /v1/conversations"] = page.answer;
  api.answers["GET /v1/conversations/a"] = conversation("a", 30, { unread: 1 });
  api.options.onReset(100);
  api.tell("message.created", message("a", 30));
  page.settle({ items: [conversation("a", 29)], next_cursor: null, total_unread: 0 });
  await settled();
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [1, 1]);
});

test("after an absence the newest conversations are compared once the feed is quiet", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  api.options.onState("away");
  assert.equal(store.connection, "away");
  api.options.onState("live");
  // Told again, with contents of now: it is counted although it was read meanwhile.
  api.tell("message.created", message("a", 10));
  assert.equal(store.conversation("a").unread, 1);
  api.answers["GET /v1/conversations"] = {
    items: [conversation("a", 10)],
    next_cursor: null,
    total_unread: 0,
  };
  await sleep(1_100);
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [0, 0]);
});

test("a new number and a new name stand in the settings at once", async (t) => {
  const api = new FakeClient();
  const store = await started(t, api);
  api.answers["GET /v1/settings"] = {
    company_name: "Acme",
    messages_number: { number: "+12125550100" },
    next_change_allowed_at: minute(0),
  };
  api.tell("number.changed", { number: "+12125550100", carrier: "twilio", assigned_at: minute(1) });
  assert.equal(store.settings.messages_number.number, "+12125550100");
  await settled();
  assert.equal(store.settings.next_change_allowed_at, minute(0));
  api.tell("company.updated", { company_name: "New", company_phone: null });
  assert.equal(store.settings.company_name, "New");
});

test("a batch that was looked at is live and keeps its estimate; of others the store only tells", async (t) => {
  const api = new FakeClient();
  const batch = { batch_id: "b", counts: { queued: 3 }, finish_at: minute(5), held_by: null };
  api.answers["GET /v1/batches/b"] = batch;
  const store = await started(t, api);
  const told = [];
  store.addEventListener("batch", ({ detail }) => told.push(detail.batch_id));
  await store.batch("b");
  api.tell("batch.updated", { batch_id: "b", counts: { queued: 1, sent: 2 } });
  api.tell("batch.updated", { batch_id: "other", counts: {} });
  assert.deepEqual([store.batches.get("b").counts.sent, store.batches.get("b").finish_at], [2, minute(5)]);
  assert.equal(store.batches.has("other"), false);
  api.tell("batch.updated", { batch_id: "b", counts: { sent: 3 } });
  assert.equal(store.batches.get("b").finish_at, null);
  await settled();
  assert.deepEqual([...new Set(told)], ["b", "other"]);
});

test("an estimate that is late does not undo what the feed told of a batch", async (t) => {
  const api = new FakeClient();
  api.answers["GET /v1/batches/b"] = {
    batch_id: "b",
    counts: { queued: 3 },
    finish_at: minute(5),
    held_by: null,
  };
  const store = await started(t, api);
  await store.batch("b");
  const answer = later();
  api.answers["GET /v1/batches/b"] = answer.answer;
  const asking = store.batch("b");
  api.tell("batch.updated", { batch_id: "b", counts: { queued: 1, sent: 2 } });
  answer.settle({ batch_id: "b", counts: { queued: 2, sent: 1 }, finish_at: minute(7), held_by: null });
  await asking;
  const { counts, finish_at: finishAt } = store.batches.get("b");
  assert.deepEqual([counts.sent, finishAt], [2, minute(7)]);
});

test("what the feed tells of unknown senders is not undone by a count that is late", async (t) => {
  const api = new FakeClient();
  const list = later();
  api.answers["GET /v1/unmatched"] = list.answer;
  const store = new Store(api);
  t.after(() => store.stop());
  const starting = store.start();
  await sleep(5);
  api.tell("unmatched.updated", { messages: 3 });
  list.settle({ items: [{}, {}], next_cursor: null });
  await starting;
  assert.equal(store.unmatched, 3);
});

test("messages of unknown senders are counted", async (t) => {
  const api = new FakeClient();
  api.answers["GET /v1/unmatched"] = { items: [{}, {}], next_cursor: null };
  const store = await started(t, api);
  assert.equal(store.unmatched, 2);
  api.tell("unmatched.updated", { messages: 3 });
  assert.equal(store.unmatched, 3);
});

test("why a message waits is asked of the API", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const waiting = { reason: "pace", until: minute(11) };
  api.answers["GET /v1/messages/m"] = { ...outbound("a", 10), waiting };
  const store = await started(t, api);
  assert.deepEqual(await store.waiting("m"), waiting);
});

test("a message that is sent again stands in its thread at once", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  api.answers["POST /v1/messages/m/send-again"] = {
    messages: [outbound("a", 12, { body: "Again" })],
    rejected: [],
  };
  const store = await started(t, api);
  const thread = await store.thread("a");
  await store.sendAgain("m");
  assert.deepEqual(shown(thread), ["text 9", "Again"]);
});

test("an event of a later version of the API changes nothing", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  api.tell("parcel.delivered", { n: 1 });
  assert.deepEqual(ids(store), ["a"]);
});
