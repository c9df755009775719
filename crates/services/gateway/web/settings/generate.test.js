import assert from "node:assert/strict";
import { test } from "node:test";

import { timeLeftWords } from "./generate.js";

test("the time that is left is coarse first and exact at the end", () => {
  assert.match(timeLeftWords(15 * 60), /for 15 minutes\./);
  assert.match(timeLeftWords(14 * 60 + 1), /for 15 minutes\./);
  assert.match(timeLeftWords(61), /for 2 minutes\./);
  assert.match(timeLeftWords(60), /for 60 seconds\./);
  assert.match(timeLeftWords(1), /for 1 second\./);
});

test("a number whose time is over says what to do", () => {
  for (const seconds of [0, -1])
    assert.match(timeLeftWords(seconds), /no longer held for you\. Generate again\./);
});
