/**
 * A text from outside as elements: links can be followed, found words are marked, and all else is text as it
 * was typed.
 *
 * @module messages/text
 */

import { h } from "../dom.js";

/** Only what says itself that it is an address of the web. */
const ADDRESS = /https?:\/\/[^\s<>"“”]+/gi;
/** What ends a sentence rather than an address. */
const AFTER_ADDRESS = /[.,;:!?'’»]+$/;

/**
 * The text with its web addresses as links.
 *
 * @param {string} text
 * @returns {import("../dom.js").Child[]}
 */
export function withLinks(text) {
  return splitAddresses(text).map(({ text, href }) =>
    href ? h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text) : text,
  );
}

/**
 * Cuts a text into what is an address and what is not.
 *
 * @param {string} text
 * @returns {{ text: string, href: string | null }[]} Together they are the text.
 */
export function splitAddresses(text) {
  const pieces = [];
  let done = 0;
  const push = (piece, href) => piece && pieces.push({ text: piece, href });
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimAddress(match[0]);
    const href = webAddress(address);
    if (!href) continue;
    push(text.slice(done, match.index), null);
    push(address, href);
    done = match.index + address.length;
  }
  push(text.slice(done), null);
  return pieces;
}

/**
 * The address as the browser understands it, if it is one of the web.
 *
 * @param {string} text
 * @returns {string | null}
 */
export function webAddress(text) {
  if (!URL.canParse(text)) return null;
  const { protocol, href, hostname } = new URL(text);
  return (protocol === "https:" || protocol === "http:") && hostname ? href : null;
}

/** Without the dot of its sentence, and without a bracket that was opened before it. */
function trimAddress(address) {
  let trimmed = address.replace(AFTER_ADDRESS, "");
  while (trimmed.endsWith(")") && !trimmed.includes("(")) {
    trimmed = trimmed.slice(0, -1).replace(AFTER_ADDRESS, "");
  }
  return trimmed;
}

/**
 * The part of a text around the first found word, with all found words marked.
 *
 * @param {string} text
 * @param {string} query As it was looked for.
 * @param {number} [length] About how many characters.
 * @returns {import("../dom.js").Child[]}
 */
export function withMarks(text, query, length = 120) {
  const places = findPlaces(text, query);
  const start = places.length === 0 ? 0 : Math.max(0, places[0].start - Math.floor(length / 3));
  const from = start === 0 ? 0 : text.indexOf(" ", start) + 1 || start;
  const end = Math.min(text.length, from + length);
  const pieces = [from > 0 ? "…" : null];
  let done = from;
  for (const place of places.filter(({ start, end: placeEnd }) => start >= from && placeEnd <= end)) {
    pieces.push(text.slice(done, place.start), h("mark", null, text.slice(place.start, place.end)));
    done = place.end;
  }
  pieces.push(text.slice(done, end), end < text.length ? "…" : null);
  return pieces;
}

/**
 * Where words of the query stand in the text, in its order and without overlap.
 *
 * @param {string} text
 * @param {string} query
 * @returns {{ start: number, end: number }[]}
 */
export function findPlaces(text, query) {
  const words = queryWords(query);
  if (words.length === 0) return [];
  const places = [];
  for (const match of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    const word = match[0].toLowerCase();
    if (!words.some((wanted) => word.startsWith(wanted) || sharesStem(word, wanted))) continue;
    places.push({ start: match.index, end: match.index + match[0].length });
  }
  return places;
}

/** What is looked for, without `or`, quotes and what is not wanted. */
function queryWords(query) {
  const wanted = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "or" && !word.startsWith("-"));
  return wanted.flatMap((word) => word.match(/[\p{L}\p{N}]+/gu) ?? []);
}

/** The search also finds other forms of a word: "leaking" finds "leaks". */
function sharesStem(word, wanted) {
  const stem = wanted.replace(/(ing|ed|es|s)$/, "");
  return stem.length >= 4 && word.startsWith(stem);
}
