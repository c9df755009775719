/** The vectors are those of crates/libs/domain/src/segments.rs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { countSegments, findCostly } from "./segments.js";

const segments = (text) => countSegments(text).segments;

/** `text` and `fits` times `filler` take `then` segments, and one more takes another. */
function assertLastThatFits(text, filler, fits, then) {
  const full = text + filler.repeat(fits);
  assert.equal(segments(full), then, `${text} and ${fits} times ${filler}`);
  assert.equal(segments(full + filler), then + 1, `${text} and one more`);
}

test("plain texts fill 160 alone and 153 of several", () => {
  assertLastThatFits("", "1", 160, 1);
  assertLastThatFits("", "1", 306, 2);
  assert.deepEqual(countSegments(""), { encoding: "gsm7", units: 0, segments: 1, unitsLeft: 160 });
});

test("emoji fill 70 units alone and 67 of several", () => {
  assertLastThatFits("😜", "1", 68, 1);
  assertLastThatFits("😜", "1", 132, 2);
  assertLastThatFits("🇮🇹", "1", 66, 1);
  assertLastThatFits("🏳️‍🌈", "1", 64, 1);
  assertLastThatFits("😀", "]", 68, 1);
});

test("a character of the extension table takes two", () => {
  for (const character of ["|", "^", "€", "{", "}", "[", "]", "~", "\\", "\f"]) {
    assertLastThatFits(character, "1", 158, 1);
    assert.deepEqual(countSegments(character), {
      encoding: "gsm7",
      units: 2,
      segments: 1,
      unitsLeft: 158,
    });
  }
});

test("accented letters that GSM lacks make the whole text UCS-2", () => {
  for (const letter of ["ç", "ú", "Á", "í", "ó", "á", "`", "\t", "’", "“"]) {
    assertLastThatFits("", letter, 70, 1);
    assert.equal(countSegments(letter).encoding, "ucs2");
  }
});

test("a line break of two characters counts two", () => {
  assert.equal(countSegments("\r\n").units, 2);
  assert.equal(countSegments("ç\r\n").units, 3);
  const around = "ú".repeat(66);
  assert.equal(segments(`${around}\r\n${around}`), 2);
});

test("an escape pair is not split", () => {
  const [a, b] = ["a".repeat(152), "a".repeat(151)];
  assert.equal(segments(`${a}€${a}`), 3);
  assert.equal(segments(`a${a}€${b}`), 2);
});

test("an emoji is not split", () => {
  let around = "ú".repeat(66);
  assert.equal(segments(`${around}😀${around}`), 3);
  assert.equal(segments("ú".repeat(134)), 2);
  // The two halves of a flag are characters of their own and yet stay together.
  around = "ú".repeat(65);
  assert.equal(segments(`${around}🇮🇹${around}`), 3);
});

test("a grapheme longer than a segment is split between its characters", () => {
  const { encoding, units, segments } = countSegments(`e${"\u0301".repeat(133)}`);
  assert.deepEqual({ encoding, units, segments }, { encoding: "ucs2", units: 134, segments: 2 });
});

test("the basic alphabet has 127 characters and its extension 10", () => {
  const sizes = new Map([
    [1, 0],
    [2, 0],
  ]);
  for (let code = 0; code < 0xd800; code += 1) {
    const { encoding, units } = countSegments(String.fromCodePoint(code));
    if (encoding === "gsm7") sizes.set(units, sizes.get(units) + 1);
  }
  assert.deepEqual(
    [...sizes],
    [
      [1, 127],
      [2, 10],
    ],
  );
});

test("what is left is what fits before there is one segment more", () => {
  for (const text of [
    "",
    "abc",
    "a".repeat(160),
    "a".repeat(161),
    "ú",
    "ú".repeat(70),
    "ú".repeat(90),
    `${"a".repeat(200)}€`,
  ]) {
    const { encoding, segments: now, unitsLeft } = countSegments(text);
    const filler = encoding === "gsm7" ? "a" : "ú";
    assert.equal(segments(text + filler.repeat(unitsLeft)), now, `${text.length}`);
    assert.equal(segments(text + filler.repeat(unitsLeft + 1)), now + 1, `${text.length} and one more`);
  }
});

test("the one curly quote that doubles a message is named, with what to write instead", () => {
  const text = `We’re coming. ${"a".repeat(100)}`;
  assert.deepEqual(findCostly(text), {
    index: 2,
    character: "’",
    reason: "not_gsm7",
    replacement: "'",
    segments: 1,
  });
});

test("typical characters have a replacement that GSM-7 has", () => {
  const cases = [
    ["“", '"'],
    ["–", "-"],
    ["—", "-"],
    ["…", "..."],
    ["\u00a0", " "],
    ["á", "a"],
    ["ç", "c"],
    ["e\u0301", "e"],
  ];
  for (const [character, replacement] of cases) {
    const found = findCostly(`${"a".repeat(100)}${character}`);
    assert.equal(found?.replacement, replacement, character);
    assert.equal(found.index, 100);
    assert.equal(countSegments(replacement).encoding, "gsm7");
  }
});

test("an emoji is named whole and has no replacement", () => {
  const found = findCostly(`${"a".repeat(90)}🏳️‍🌈 ok`);
  assert.deepEqual([found?.character, found?.index, found?.replacement], ["🏳️‍🌈", 90, null]);
});

test("letters that GSM-7 has are never named", () => {
  assert.equal(findCostly(`Señor Ögüé costs £5, à la Ç${"é".repeat(200)}`), null);
});

test("what costs nothing is not named", () => {
  assert.equal(findCostly("It’s short"), null);
  assert.equal(findCostly("a [short] one"), null);
});

test("in a text of another alphabet no character is to blame", () => {
  assert.equal(findCostly("Дом".repeat(100)), null);
  assert.equal(findCostly(`${"Hello there. ".repeat(12)}Дом`)?.character, "Д");
});

test("the bracket that crosses a segment's border is named", () => {
  const text = `[${"a".repeat(157)}]`;
  assert.equal(segments(text), 2);
  assert.deepEqual(findCostly(text), {
    index: 158,
    character: "]",
    reason: "takes_two",
    replacement: ")",
    segments: 1,
  });
  assert.equal(findCostly(`[${"a".repeat(200)}]`), null);
  assert.equal(findCostly(`{{person.name}}${"a".repeat(142)}`), null);
});
