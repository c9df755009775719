import assert from "node:assert/strict";
import { test } from "node:test";

import { Draft, MAX_RECIPIENTS, choose } from "./draft.js";

const person = (id) => choose({ person_id: id, name: `Person ${id}` });

test("the message names each recipient once, in the order in which they were chosen", () => {
  const draft = new Draft();
  draft.add([person("b"), person("a"), person("b")]);
  draft.add([choose({ conversation_id: "c-1", name: "Ann" }), person("a")]);
  draft.body = "Hello";
  assert.deepEqual(draft.toMessage(), {
    recipients: [{ person_id: "b" }, { person_id: "a" }, { conversation_id: "c-1" }],
    body: "Hello",
  });
});

test("attachments and a time are part of the message only when there are some", () => {
  const draft = new Draft();
  draft.add([person("a")]);
  assert.deepEqual(Object.keys(draft.toMessage()), ["recipients", "body"]);
  draft.mediaUrls = ["https://www.example.com/plan.png"];
  draft.sendAt = new Date("2026-03-30T14:00:00Z");
  assert.deepEqual(draft.toMessage().media_urls, ["https://www.example.com/plan.png"]);
  assert.equal(draft.toMessage().send_at, "2026-03-30T14:00:00.000Z");
});

test("a send keeps its key until something changes", () => {
  const draft = new Draft();
  draft.add([person("a")]);
  const keys = [draft.key, draft.key];
  assert.equal(keys[0], keys[1]);
  const changes = [
    () => (draft.body = "Hello"),
    () => draft.add([person("b")]),
    () => draft.remove(["person:b"]),
    () => (draft.mediaUrls = ["https://www.example.com/plan.png"]),
    () => (draft.sendAt = new Date()),
    () => draft.clear(),
  ];
  for (const change of changes) {
    change();
    keys.push(draft.key);
  }
  assert.equal(new Set(keys).size, changes.length + 1);
});

test("what is set to what it was is no change", () => {
  const draft = new Draft();
  draft.body = "Hello";
  const { key } = draft;
  draft.body = "Hello";
  draft.sendAt = null;
  assert.equal(draft.key, key);
});

test("no more are chosen than the API takes", () => {
  const draft = new Draft();
  const all = Array.from({ length: MAX_RECIPIENTS + 3 }, (_, index) => person(String(index)));
  assert.equal(draft.add(all), 3);
  assert.equal(draft.count, MAX_RECIPIENTS);
});

test("who comes and goes is told apart from what is written", () => {
  const draft = new Draft();
  const told = [];
  for (const type of ["recipients", "change"]) draft.addEventListener(type, () => told.push(type));
  draft.add([person("a")]);
  draft.body = "Hello";
  assert.deepEqual(told, ["recipients", "change", "change"]);
});
