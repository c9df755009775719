/**
 * How long a text is on the air, under the field in which it is written; and the one character that makes it
 * longer.
 *
 * @module messages/length
 */

import { h, replace } from "../dom.js";
import { formatCount, formatInteger } from "../format.js";
import { countSegments, findCostly } from "../segments.js";

/** Characters that show as nothing, or as something else, have a name. */
const NAMES = new Map([
  ["’", "the curly apostrophe ’"],
  ["‘", "the curly quote ‘"],
  ["“", "the curly quote “"],
  ["”", "the curly quote ”"],
  ["–", "the long dash –"],
  ["—", "the long dash —"],
  ["…", "the three dots in one …"],
  ["\u00a0", "a non-breaking space"],
  ["\u202f", "a narrow space"],
  ["\u200b", "a space that does not show"],
  ["\t", "a tab"],
]);

/** The live line under a text field. It says the count, and offers to mend what costs most. */
export class LengthLine {
  #field;
  #shown = "";

  /** @param {HTMLTextAreaElement} field Its `input` event follows when a character was replaced. */
  constructor(field) {
    this.#field = field;
    // The count belongs to the field: it is read with it, and not at each key.
    this.#count = h("span", { id: `length-${crypto.randomUUID()}` });
    this.#advice = h("span", { class: "length-advice", "aria-live": "polite" });
    this.element = h("p", { class: "length quiet" }, this.#count, this.#advice);
    const described = field.getAttribute("aria-describedby");
    field.setAttribute("aria-describedby", described ? `${this.#count.id} ${described}` : this.#count.id);
  }

  #count;
  #advice;

  /** Says it of the text as it is now. */
  update() {
    const text = this.#field.value;
    const words = text === "" ? "" : describeLength(text);
    if (words !== this.#count.textContent) this.#count.textContent = words;
    this.#advise(text === "" ? null : findCostly(text), countSegments(text).segments);
  }

  /**
   * @param {import("../segments.js").Costly | null} costly
   * @param {number} segments
   */
  #advise(costly, segments) {
    const shown = costly ? `${costly.index} ${costly.character} ${costly.segments} ${segments}` : "";
    if (shown === this.#shown) return;
    this.#shown = shown;
    if (!costly) return replace(this.#advice);
    const name = nameOf(costly.character);
    const select = () => this.#select(costly);
    replace(
      this.#advice,
      h(
        "button",
        { type: "button", class: "link", title: "Show it in the text", onclick: select },
        capital(name),
      ),
      ` makes it longer: without it ${formatCount(costly.segments, "segment")}. `,
      costly.replacement === null ? null : this.#mend(costly),
    );
  }

  /** @param {import("../segments.js").Costly} costly */
  #mend(costly) {
    const { character, replacement } = costly;
    const words =
      replacement.trim() === ""
        ? replacement === ""
          ? "Remove it"
          : "Use a plain space"
        : `Use ${replacement} instead`;
    const mend = () => {
      const all = this.#field.value.replaceAll(character, replacement);
      this.#field.focus();
      this.#field.value = all;
      const after = costly.index + replacement.length;
      this.#field.setSelectionRange(after, after);
      this.#field.dispatchEvent(new Event("input", { bubbles: true }));
    };
    return h("button", { type: "button", class: "link", onclick: mend }, words);
  }

  /** @param {import("../segments.js").Costly} costly */
  #select({ index, character }) {
    this.#field.focus();
    this.#field.setSelectionRange(index, index + character.length);
  }
}

/**
 * @param {string} text
 * @returns {string} "1 segment · 34 left"
 */
export function describeLength(text) {
  const { segments, unitsLeft } = countSegments(text);
  const filled = text.includes("{{") ? " · may change when the names are filled in" : "";
  return `${formatCount(segments, "segment")} · ${formatInteger(unitsLeft)} left${filled}`;
}

/**
 * What a character is called in a sentence.
 *
 * @param {string} character
 * @returns {string}
 */
export function nameOf(character) {
  const named = NAMES.get(character);
  if (named) return named;
  if (/^\p{Extended_Pictographic}/u.test(character)) return `the emoji ${character}`;
  if (/^[\p{L}\p{N}\p{P}\p{S}]/u.test(character)) return `the character ${character}`;
  const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return `a character that does not show (U+${code})`;
}

/** @param {string} words */
function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
