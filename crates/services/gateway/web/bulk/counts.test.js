import assert from "node:assert/strict";
import { test } from "node:test";

import { summarize } from "./counts.js";

test("a batch under way says how many are where", () => {
  const sum = summarize({ messages: 10, counts: { queued: 3, delivered: 5, failed: 1, undelivered: 1 } });
  assert.equal(sum.words, "Of 10 · 5 delivered · 2 failed · 3 waiting");
  assert.deepEqual([sum.waiting, sum.unsent, sum.failed], [3, 3, 2]);
  assert.deepEqual(
    sum.parts.map(({ look, share }) => [look, share]),
    [
      ["delivered", 0.5],
      ["failed", 0.2],
      ["queued", 0.3],
    ],
  );
});

test("what may have gone out is not said to be stoppable", () => {
  const sum = summarize({ messages: 2, counts: { unknown: 1, sending: 1 } });
  assert.deepEqual([sum.waiting, sum.unsent], [1, 0]);
});

test("messages of deleted conversations are missing from the counts and said to be deleted", () => {
  assert.equal(summarize({ messages: 4, counts: { sent: 3 } }).words, "Of 4 · 3 sent · 1 deleted");
});

test("a status that is not known here shows by its name", () => {
  assert.equal(summarize({ messages: 1, counts: { read: 1 } }).words, "Of 1 · 1 read");
});

test("a batch without messages has no parts", () => {
  assert.deepEqual(summarize({ messages: 0, counts: {} }).parts, []);
});
