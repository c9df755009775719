import assert from "node:assert/strict";
import { test } from "node:test";

import { WhenQuiet } from "./when-quiet.js";

function started(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const done = [];
  const quiet = new WhenQuiet(() => done.push(Date.now()));
  return { quiet, done, pass: (ms) => t.mock.timers.tick(ms) };
}

test("it is done once, when nothing has come for a while", (t) => {
  const { quiet, done, pass } = started(t);
  quiet.ask();
  pass(900);
  quiet.delay();
  quiet.ask();
  pass(900);
  assert.deepEqual(done, []);
  pass(100);
  assert.deepEqual(done, [1_900]);
  quiet.delay();
  pass(60_000);
  assert.deepEqual(done, [1_900], "nobody asked again");
});

test("where it is never quiet it is done all the same", (t) => {
  const { quiet, done, pass } = started(t);
  quiet.ask();
  for (let step = 0; step < 24; step += 1) {
    pass(500);
    quiet.delay();
  }
  assert.deepEqual(done, [10_000]);
});

test("what was stopped is not done", (t) => {
  const { quiet, done, pass } = started(t);
  quiet.ask();
  quiet.stop();
  pass(60_000);
  assert.deepEqual(done, []);
});
