import assert from "node:assert/strict";
import { test } from "node:test";

import { isSameGroup } from "./bubble.js";
import { Drafts } from "./drafts.js";
import { describeLength, nameOf } from "./length.js";
import { lastPart } from "./media.js";
import { lastLine } from "./row.js";
import { nextHour, refuse } from "./schedule.js";
import { findAnchor } from "./window.js";

const indexes = (ids) => new Map(ids.map((id, index) => [id, index]));

test("what is in sight stays in sight when rows come above it", () => {
  assert.deepEqual(findAnchor(["a", "b", "c", "d"], indexes(["x", "y", "a", "b", "c", "d"]), 1.5), {
    from: 1,
    to: 3,
  });
});

test("a row that jumps to the top of the list is not followed", () => {
  assert.deepEqual(findAnchor(["a", "b", "c", "d"], indexes(["c", "a", "b", "d"]), 2), { from: 3, to: 3 });
});

test("a list of which nothing stayed has no anchor", () => {
  assert.equal(findAnchor(["a", "b"], indexes(["x", "y"]), 0), null);
});

test("messages of one sender in one minute stand together, a pending one with what its manager sent", () => {
  const at = (time) => new Date(`2026-03-02T15:${time}`);
  const out = (id, time) => ({
    kind: "message",
    at: at(time),
    data: { direction: "outbound", manager: { id } },
  });
  const inbound = { kind: "message", at: at("00:20"), data: { direction: "inbound", manager: null } };
  const pending = { kind: "pending", at: at("00:40"), data: {} };
  const line = { kind: "event", at: at("00:30"), data: {} };
  assert.ok(isSameGroup(out("m-1", "00:10"), pending, "m-1"));
  assert.ok(!isSameGroup(out("m-2", "00:10"), pending, "m-1"));
  assert.ok(!isSameGroup(out("m-1", "00:10"), out("m-1", "01:10"), "m-1"));
  assert.ok(!isSameGroup(inbound, pending, "m-1"));
  assert.ok(!isSameGroup(line, line, "m-1"));
  assert.ok(!isSameGroup(undefined, inbound, "m-1"));
});

test("the last line names who wrote it, and tells what did not arrive", () => {
  const message = {
    direction: "outbound",
    body: "Hello",
    media: [],
    status: "sent",
    manager: { id: "m-1", name: "Mia Manager" },
  };
  assert.equal(lastLine(message, "m-1"), "You: Hello");
  assert.equal(lastLine(message, "m-2"), "Mia: Hello");
  assert.equal(lastLine({ ...message, status: "failed" }, "m-2"), "Not sent. Mia: Hello");
  assert.equal(lastLine({ ...message, direction: "inbound", body: "", media: [{}, {}] }, "m-2"), "2 files");
  assert.equal(lastLine(null, "m-1"), null);
});

test("a text is scheduled for a time that comes, within sixty days", () => {
  const now = Date.parse("2026-03-02T15:10:00Z");
  const days = (count) => new Date(now + count * 86_400_000);
  assert.equal(refuse(days(59), now), null);
  assert.match(refuse(days(61), now), /60 days/);
  assert.match(refuse(days(-1), now), /over/);
  assert.match(refuse(null, now), /Choose/);
  assert.equal(nextHour(now).getTime(), Date.parse("2026-03-02T17:00:00Z"));
});

test("the length of a text is said in a few words", () => {
  assert.equal(describeLength("a".repeat(126)), "1 segment · 34 left");
  assert.match(describeLength("Dear {{person.name}}"), /names are filled in/);
});

test("a character that does not show has a name", () => {
  assert.equal(nameOf("’"), "the curly apostrophe ’");
  assert.equal(nameOf("😀"), "the emoji 😀");
  assert.equal(nameOf("ő"), "the character ő");
  assert.equal(nameOf("\u2063"), "a character that does not show (U+2063)");
});

test("a file is called by the last part of its address", () => {
  assert.equal(lastPart("https://a.example/files/plan.pdf?x=1"), "plan.pdf");
  assert.equal(lastPart("https://a.example/"), "a.example");
});

test("a draft stays with its conversation, and an empty one is forgotten", () => {
  const kept = new Map();
  const storage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  const drafts = new Drafts("acme", storage);
  drafts.keep("c-1", { body: "Dear", mediaUrls: ["https://a.example/x.png"] });
  assert.deepEqual(drafts.get("c-1"), { body: "Dear", mediaUrls: ["https://a.example/x.png"] });
  assert.deepEqual(drafts.get("c-2"), { body: "", mediaUrls: [] });
  assert.deepEqual(new Drafts("other", storage).get("c-1"), { body: "", mediaUrls: [] });
  drafts.keep("c-1", { body: "", mediaUrls: [] });
  assert.equal(kept.size, 0);
});
