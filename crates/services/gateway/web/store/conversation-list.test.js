/** The list of conversations, in a store against a client that plays the API. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { Store } from "../store.js";
import {
  FakeClient,
  conversation,
  ids,
  later,
  message,
  minute,
  outbound,
  settled,
  started,
  told,
} from "../testing/fake-client.mjs";

// The list.

test("the settings and the newest conversations are there after the start", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)], { total_unread: 4 });
  const store = await started(t, api);
  assert.deepEqual(ids(store), ["a", "b"]);
  assert.equal(store.settings.company_name, "Acme");
  assert.deepEqual([store.totalUnread, store.unmatched, store.connection], [4, 0, "live"]);
});

test("a new message moves its conversation to the top, and nothing else", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5), conversation("c", 3)]);
  const store = await started(t, api);
  const [a] = store.conversations;
  api.tell("message.created", message("c", 10));
  assert.deepEqual(ids(store), ["c", "a", "b"]);
  assert.equal(store.conversations[0].last_message.body, "text 10");
  assert.equal(store.conversations[1], a);
});

test("a message that is late does not become the last one", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)]);
  const store = await started(t, api);
  api.tell("message.created", message("b", 4));
  assert.deepEqual(ids(store), ["a", "b"]);
  assert.equal(store.conversation("b").last_message.body, "text 5");
  assert.equal(store.conversation("b").unread, 0);
});

test("the last line follows its message", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { last_message: outbound("a", 9) })]);
  const store = await started(t, api);
  api.tell("message.updated", outbound("a", 9, { status: "delivered" }));
  assert.equal(store.conversation("a").last_message.status, "delivered");
});

test("a status never goes backwards, whichever answer is late", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)], {
    messages: { a: [outbound("a", 9, { status: "delivered" })] },
  });
  const store = await started(t, api);
  const thread = await store.thread("a");
  api.tell("message.updated", outbound("a", 9, { status: "sent" }));
  assert.equal(thread.items[0].data.status, "delivered");
});

test("an inbound message is one more to read, an outbound one is not", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  api.tell("message.created", message("a", 10));
  api.tell("message.created", outbound("a", 11));
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [1, 1]);
});

test("conversation.updated keeps what is known to be unread", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 3 })]);
  const store = await started(t, api);
  api.tell(
    "conversation.updated",
    told(conversation("a", 9, { sendable: false, reason: "recipient_opted_out" })),
  );
  assert.deepEqual([store.conversation("a").unread, store.conversation("a").sendable], [3, false]);
});

test("conversation.read sets what is unread", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 3 })], { total_unread: 5 });
  const store = await started(t, api);
  api.tell("conversation.read", { conversation_id: "a", unread: 1, total_unread: 2 });
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [1, 2]);
});

test("a message that an answer has counted is not counted again by the feed", async (t) => {
  const api = new FakeClient().has([conversation("a", 9, { unread: 1 })], { total_unread: 1 });
  const store = await started(t, api);
  api.tell("message.created", message("a", 9));
  assert.deepEqual([store.conversation("a").unread, store.totalUnread], [1, 1]);
});

test("what the feed tells while a page is under way is not undone by the page", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const page = later();
  const first = api.answers["GET /v1/conversations"];
  api.answers["GET /v1/conversations"] = ({ query }) =>
    query.cursor ? page.answer() : { ...first, next_cursor: "2" };
  const store = await started(t, api);
  const loading = store.loadMoreConversations();
  api.tell("message.created", message("a", 10));
  page.settle({ items: [conversation("a", 9), conversation("b", 5)], next_cursor: null, total_unread: 0 });
  await loading;
  assert.deepEqual([ids(store), store.conversation("a").unread], [["a", "b"], 1]);
});

test("an inbound message during the first page is counted once, whether the page has it or not", async (t) => {
  for (const has of [false, true]) {
    const api = new FakeClient();
    const page = later();
    api.answers["GET /v1/conversations"] = page.answer;
    api.answers["GET /v1/conversations/a"] = conversation("a", 10, { unread: 1 });
    const store = new Store(api);
    t.after(() => store.stop());
    const starting = store.start();
    await sleep(5);
    api.tell("message.created", message("a", 10));
    const a = has ? conversation("a", 10, { unread: 1 }) : conversation("a", 9);
    page.settle({ items: [a], next_cursor: null, total_unread: has ? 1 : 0 });
    await starting;
    await settled();
    assert.deepEqual([store.totalUnread, store.conversation("a").unread], [1, 1], `the page has it: ${has}`);
  }
});

test("a read mark while the first page is under way is not undone by the page", async (t) => {
  const api = new FakeClient();
  const page = later();
  api.answers["GET /v1/conversations"] = page.answer;
  const store = new Store(api);
  t.after(() => store.stop());
  const starting = store.start();
  await sleep(5);
  api.tell("conversation.read", { conversation_id: "a", unread: 0, total_unread: 1 });
  page.settle({ items: [conversation("a", 9)], next_cursor: null, total_unread: 3 });
  await starting;
  assert.equal(store.totalUnread, 1);
});

test("a conversation that changes before the first page is there is not taken for a new one", async (t) => {
  const api = new FakeClient();
  const page = later();
  api.answers["GET /v1/conversations"] = page.answer;
  api.answers["GET /v1/conversations/a"] = conversation("a", 9, { unread: 4 });
  const store = new Store(api);
  t.after(() => store.stop());
  const starting = store.start();
  await sleep(5);
  api.tell("conversation.updated", told(conversation("a", 9)));
  page.settle({ items: [conversation("a", 9, { unread: 4 })], next_cursor: null, total_unread: 4 });
  await starting;
  assert.equal(store.conversation("a").unread, 4);
});

test("a page that was asked for before the list began anew is dropped", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)], { next_cursor: "2" });
  const store = await started(t, api);
  const page = later();
  const first = { items: [conversation("a", 9)], next_cursor: "3", total_unread: 0 };
  api.answers["GET /v1/conversations"] = ({ query }) => (query.cursor ? page.answer() : first);
  const loading = store.loadMoreConversations();
  api.options.onReset(101);
  await settled();
  page.settle({ items: [conversation("b", 1)], next_cursor: null, total_unread: 0 });
  await loading;
  assert.deepEqual([ids(store), store.hasMoreConversations], [["a"], true]);
});

test("an unknown conversation is put in when it is newer than the last loaded one", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)], { next_cursor: "2" });
  const store = await started(t, api);
  api.answers["GET /v1/conversations/z"] = conversation("z", 10, { unread: 2 });
  api.tell("message.created", message("z", 10));
  await settled();
  assert.deepEqual([ids(store), store.conversation("z").unread], [["z", "a", "b"], 2]);
});

test("an older conversation is known by its id, and stands in the list once its page is there", async (t) => {
  const api = new FakeClient().has([conversation("a", 9), conversation("b", 5)], { next_cursor: "2" });
  const store = await started(t, api);
  api.answers["GET /v1/conversations/old"] = conversation("old", 2);
  await store.loadConversation("old");
  assert.deepEqual([ids(store), store.conversation("old").conversation_id], [["a", "b"], "old"]);
  const page = {
    items: [conversation("c", 4), conversation("old", 2)],
    next_cursor: null,
    total_unread: 0,
  };
  api.answers["GET /v1/conversations"] = page;
  await store.loadMoreConversations();
  assert.deepEqual([ids(store), store.hasMoreConversations], [["a", "b", "c", "old"], false]);
});

test("a conversation that is opened is there at once, without a question", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  const opened = conversation("new", 12, { opened_at: minute(12) });
  api.tell("conversation.updated", told(opened));
  api.tell("message.created", opened.last_message);
  assert.deepEqual([ids(store), store.conversation("new").unread], [["new", "a"], 1]);
  await settled();
  assert.equal(api.asked("GET", "/v1/conversations/new").length, 0);
});

test("a send to thousands of unknown conversations costs pages, not thousands of questions", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)], { next_cursor: "2" });
  const store = await started(t, api);
  const before = api.requests.length;
  api.answers["GET /v1/conversations"] = {
    items: [conversation("x-1", 50)],
    next_cursor: "2",
    total_unread: 0,
  };
  for (let n = 0; n < 2_000; n += 1) api.tell("message.created", outbound(`x-${n}`, 50));
  await settled();
  assert.ok(api.requests.length - before < 5, `${api.requests.length - before} questions`);
  assert.deepEqual(ids(store), ["x-1"]);
});

test("ten thousand conversations stay in order through ten thousand messages, quickly", async (t) => {
  const many = Array.from({ length: 10_000 }, (_, n) => conversation(`c-${n}`, 20_000 - n));
  const api = new FakeClient().has(many);
  const store = await started(t, api);
  const begun = performance.now();
  for (let n = 0; n < 10_000; n += 1)
    api.tell("message.created", message(`c-${(n * 7_919) % 10_000}`, 30_000 + n));
  const took = performance.now() - begun;
  const times = store.conversations.map((each) => each.last_message.created_at);
  assert.deepEqual(times, [...times].sort().reverse());
  assert.equal(new Set(ids(store)).size, 10_000);
  assert.ok(took < 3_000, `${took} ms`);
});

test("many changes are told once", async (t) => {
  const api = new FakeClient().has([conversation("a", 9)]);
  const store = await started(t, api);
  await settled();
  let times = 0;
  store.addEventListener("conversations", () => (times += 1));
  for (let n = 10; n < 30; n += 1) api.tell("message.created", message("a", n));
  await settled();
  assert.equal(times, 1);
});
