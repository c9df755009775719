import assert from "node:assert/strict";
import { test } from "node:test";

import {
  firstName,
  formatClock,
  formatCount,
  formatDate,
  formatDay,
  formatDuration,
  formatKind,
  formatList,
  formatMoment,
  formatNumber,
  formatPeople,
  formatSize,
  formatTime,
  initials,
  isSameDay,
} from "./format.js";

/** A Wednesday. */
const now = new Date(2026, 2, 4, 12, 0);

test("a number reads as people write it, and anything else as it came", () => {
  assert.equal(formatNumber("+14155550101"), "(415) 555-0101");
  assert.equal(formatNumber("+442079460000"), "+442079460000");
  assert.equal(formatNumber(null), "");
});

test("a time is as short as it stays clear", () => {
  assert.equal(formatTime(new Date(2026, 2, 4, 15, 5), now), "3:05 PM");
  assert.equal(formatTime(new Date(2026, 2, 3, 23, 59), now), "Tue 11:59 PM");
  assert.equal(formatTime(new Date(2026, 2, 6, 8, 0), now), "Fri 8:00 AM");
  assert.equal(formatTime(new Date(2026, 1, 25, 15, 5), now), "Feb 25");
  assert.equal(formatTime(new Date(2025, 2, 2, 15, 5), now), "Mar 2, 2025");
  assert.equal(formatTime(new Date(2026, 2, 4, 0, 0).toISOString(), now), "12:00 AM");
  assert.equal(formatClock(new Date(2026, 2, 4, 0, 7)), "12:07 AM");
});

test("a time for a sentence always says when on its day", () => {
  assert.equal(formatMoment(new Date(2026, 2, 4, 15, 5), now), "3:05 PM");
  assert.equal(formatMoment(new Date(2026, 3, 4, 15, 5), now), "Apr 4, 3:05 PM");
  assert.equal(formatMoment(new Date(2027, 0, 4, 15, 5), now), "Jan 4, 2027, 3:05 PM");
  assert.equal(formatDate(new Date(2026, 3, 4, 15, 5), now), "Apr 4");
});

test("days are told apart by the calendar and not by hours", () => {
  assert.equal(formatDay(new Date(2026, 2, 4, 0, 1), now), "Today");
  assert.equal(formatDay(new Date(2026, 2, 3, 23, 59), now), "Yesterday");
  assert.equal(formatDay(new Date(2026, 2, 5, 0, 0), now), "Tomorrow");
  assert.equal(formatDay(new Date(2026, 2, 2, 12, 0), now), "Monday, March 2");
  assert.equal(formatDay(new Date(2025, 2, 2, 12, 0), now), "Sunday, March 2, 2025");
  assert.ok(isSameDay(new Date(2026, 2, 4, 0, 0), new Date(2026, 2, 4, 23, 59)));
  assert.ok(!isSameDay(new Date(2026, 2, 4, 23, 59), new Date(2026, 2, 5, 0, 0)));
});

test("a duration has at most two parts", () => {
  const said = [0, 45, 60, 75, 3600, 3599.6, 7500, 14_399, 86_400, 273_600].map(formatDuration);
  const expected = ["0 s", "45 s", "1 min", "1 min 15 s", "1 h", "1 h", "2 h 5 min", "4 h", "1 day", "3 days 4 h"];
  assert.deepEqual(said, expected);
});

test("one is not many", () => {
  assert.equal(formatCount(1, "message"), "1 message");
  assert.equal(formatCount(0, "message"), "0 messages");
  assert.equal(formatCount(1204, "person", "people"), "1,204 people");
});

test("sizes are said in a unit that fits", () => {
  assert.deepEqual([1, 900, 1500, 184_320, 1_230_000, 12_300_000].map(formatSize), [
    "1 byte",
    "900 bytes",
    "2 KB",
    "184 KB",
    "1.2 MB",
    "12 MB",
  ]);
});

test("initials are letters of names, also of names with marks and with emoji", () => {
  assert.deepEqual(["Ana Torres", "ana", "Élif de Kaya", "'Dario' (Plumbing)", "👍 Zoe", "", null].map(initials), [
    "AT",
    "A",
    "ÉK",
    "DP",
    "Z",
    "#",
    "#",
  ]);
  assert.equal(firstName(" Mia Manager"), "Mia");
});

test("a conversation is called by its people, and by its number when there is nobody", () => {
  const people = ["Grace", "Henrik", "Ana"].map((name) => ({ name }));
  assert.equal(formatPeople({ people, number: "+14155550101" }), "Grace, Henrik and Ana");
  assert.equal(formatPeople({ people: [], number: "+14155550101" }), "(415) 555-0101");
  assert.equal(formatList(["Grace", "Henrik"]), "Grace and Henrik");
  assert.equal(formatKind("vendor"), "Vendor");
  assert.equal(formatKind("dragon"), "dragon");
});
