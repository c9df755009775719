import assert from "node:assert/strict";
import { test } from "node:test";

import { findPlaces, splitAddresses, webAddress } from "./text.js";

const links = (text) =>
  splitAddresses(text)
    .filter(({ href }) => href)
    .map(({ text }) => text);

test("only addresses of the web become links", () => {
  assert.deepEqual(links("see https://a.example/x and http://b.example"), [
    "https://a.example/x",
    "http://b.example",
  ]);
  assert.deepEqual(links("javascript:alert(1) data:text/html,x file:///etc www.a.example https://"), []);
  assert.equal(webAddress("javascript:alert(1)"), null);
  assert.equal(webAddress("JaVaScRiPt:alert(1)//https://a.example"), null);
});

test("the sentence around an address is no part of it", () => {
  assert.deepEqual(links("Look at https://a.example/b."), ["https://a.example/b"]);
  assert.deepEqual(links("(https://a.example/b), and"), ["https://a.example/b"]);
  assert.deepEqual(links("https://a.example/b_(c)"), ["https://a.example/b_(c)"]);
});

test("markup around an address stays text, and no character is lost", () => {
  const text = '<a href="https://a.example/">x</a> https://a.example/?q="><script>';
  assert.equal(
    splitAddresses(text)
      .map((piece) => piece.text)
      .join(""),
    text,
  );
  assert.deepEqual(links(text), ["https://a.example/", "https://a.example/?q="]);
});

test("found words are marked where they stand", () => {
  const marked = (text, query) => findPlaces(text, query).map(({ start, end }) => text.slice(start, end));
  assert.deepEqual(marked("The sink leaks. A LEAK!", "leak"), ["leaks", "LEAK"]);
  assert.deepEqual(marked("Überall ist es über", "über"), ["Überall", "über"]);
  assert.deepEqual(marked("The kitchen sink", 'sink -kitchen or "tap"'), ["sink"]);
  assert.deepEqual(marked("It leaked", "leaking"), ["leaked"]);
  assert.deepEqual(marked("anything", "  "), []);
});
