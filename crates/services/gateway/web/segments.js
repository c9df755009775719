/**
 * How many segments a text takes, counted as the carriers count (rule 14), and which character costs most.
 *
 * The same as crates/libs/domain/src/segments.rs: what a manager sees while typing is what the answer will
 * say.
 *
 * @module segments
 */

/**
 * @typedef {object} Segments
 * @property {"gsm7" | "ucs2"} encoding
 * @property {number} units Septets for GSM-7, UTF-16 units for UCS-2, over the whole text.
 * @property {number} segments At least 1, also for an empty text.
 * @property {number} unitsLeft What still fits before there is one segment more.
 *
 * @typedef {object} Costly The one character that makes a message longer.
 * @property {number} index Where it begins, in UTF-16 units: `text.slice(index, index + character.length)`.
 * @property {string} character
 * @property {"not_gsm7" | "takes_two"} reason `not_gsm7`: because of it the whole text takes more than twice
 *   the space. `takes_two`: it counts twice, and that is one segment more.
 * @property {string | null} replacement What means the same and costs less.
 * @property {number} segments How many segments the text takes with the replacement, or without the
 *   character.
 */

const CAPACITY = { gsm7: { alone: 160, ofSeveral: 153 }, ucs2: { alone: 70, ofSeveral: 67 } };

/** What takes one septet: 3GPP TS 23.038, the basic alphabet. */
const BASIC = new Set(
  "\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz" +
    "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà",
);
/** What takes two: an escape and a character of the extension table. */
const EXTENSION = new Set("^{}\\[~]|€\f");

/** What phones and word processors put in the place of plain characters. @type {Map<string, string>} */
const REPLACEMENTS = new Map([
  ...pairs("’‘‚‛′´`", "'"),
  ...pairs("“”„‟″«»", '"'),
  ...pairs("–—‐‑‒―−", "-"),
  ...pairs("\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000\t", " "),
  ...pairs("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
  ...pairs("•·‣", "-"),
  ["…", "..."],
  ["\u2028", "\n"],
  ["\u2029", "\n"],
  ["™", "(TM)"],
  ["©", "(C)"],
  ["®", "(R)"],
  ["½", "1/2"],
  ["¼", "1/4"],
  ["¾", "3/4"],
  ["×", "x"],
  ["→", "->"],
  ["←", "<-"],
]);
/** For the extension table: what means the same in one septet. @type {Map<string, string>} */
const SHORTER = new Map([...pairs("[{", "("), ...pairs("]}", ")"), ...pairs("|\\", "/"), ["~", "-"]]);

/** A text is otherwise GSM-7 while at most one character in so many is not. */
const OTHERWISE_GSM7 = 4;

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Counts the segments of a text as it is; nothing is replaced first.
 *
 * @param {string} text
 * @returns {Segments}
 */
export function countSegments(text) {
  const septets = [];
  for (const character of text) {
    const size = septetsOf(character);
    if (size === null) return pack("ucs2", [...piecesOf(text)]);
    septets.push(size);
  }
  return pack("gsm7", septets);
}

/**
 * Finds the one character that makes the message longer: the first that GSM-7 lacks, or the one of the
 * extension table that pushes the text over a segment's border. Null: there is none, or nothing would be won
 * without it.
 *
 * @param {string} text
 * @returns {Costly | null}
 */
export function findCostly(text) {
  const now = countSegments(text);
  return now.encoding === "ucs2" ? findForeign(text, now) : now.segments > 1 ? findDouble(text, now) : null;
}

/**
 * The first character that GSM-7 lacks, when the text would be shorter without all such: the next one is
 * named when this one is gone. In a text that is written in another alphabet none is to blame.
 *
 * @param {string} text
 * @param {Segments} now
 * @returns {Costly | null}
 */
function findForeign(text, now) {
  /** @type {Omit<Costly, "segments"> | null} */
  let first = null;
  let [without, foreign, all] = ["", 0, 0];
  for (const { segment, index } of graphemes.segment(text)) {
    all += 1;
    if ([...segment].every((character) => septetsOf(character) !== null)) {
      without += segment;
      continue;
    }
    foreign += 1;
    const replacement = REPLACEMENTS.get(segment) ?? plainLetter(segment);
    first ??= { index, character: segment, reason: "not_gsm7", replacement };
    without += replacement ?? "";
  }
  if (first === null || foreign * OTHERWISE_GSM7 > all) return null;
  const { segments } = countSegments(without);
  return segments < now.segments ? { .../** @type {any} */ (first), segments } : null;
}

/**
 * The character of the extension table without which the text takes a segment less; the last one, which
 * crossed the border.
 *
 * @param {string} text
 * @param {Segments} now
 * @returns {Costly | null}
 */
function findDouble(text, now) {
  // The braces of a merge field are not to be replaced.
  const visible = text.replace(/\{\{.*?\}\}/g, (field) => " ".repeat(field.length));
  for (let index = visible.length - 1; index >= 0; index -= 1) {
    const character = visible[index];
    if (!EXTENSION.has(character)) continue;
    const replacement = SHORTER.get(character) ?? null;
    const { segments } = countSegments(text.slice(0, index) + (replacement ?? "") + text.slice(index + 1));
    if (segments >= now.segments) return null;
    return { index, character, reason: "takes_two", replacement, segments };
  }
  return null;
}

/** `á` is fine as `a` where GSM-7 has no `á`. Null: it is no letter with a mark. */
function plainLetter(grapheme) {
  const plain = grapheme.normalize("NFD").replace(/\p{Mark}/gu, "");
  return plain !== grapheme && /^[a-z]$/i.test(plain) ? plain : null;
}

/** 1 for the basic alphabet, 2 for the extension table, null for all else. */
function septetsOf(character) {
  if (BASIC.has(character)) return 1;
  return EXTENSION.has(character) ? 2 : null;
}

/** UTF-16 units of what must not be split. */
function* piecesOf(text) {
  for (const { segment } of graphemes.segment(text)) {
    // A line break is two characters to the carriers, and a grapheme that no segment can hold must be split
    // somewhere.
    if (segment !== "\r\n" && segment.length <= CAPACITY.ucs2.ofSeveral) yield segment.length;
    else for (const character of segment) yield character.length;
  }
}

/**
 * @param {"gsm7" | "ucs2"} encoding
 * @param {number[]} pieces
 * @returns {Segments}
 */
function pack(encoding, pieces) {
  const { alone, ofSeveral } = CAPACITY[encoding];
  const units = pieces.reduce((sum, piece) => sum + piece, 0);
  if (units <= alone) return { encoding, units, segments: 1, unitsLeft: alone - units };
  let [segments, filled] = [1, 0];
  for (const piece of pieces) {
    if (filled + piece > ofSeveral) {
      segments += 1;
      filled = 0;
    }
    filled += piece;
  }
  return { encoding, units, segments, unitsLeft: ofSeveral - filled };
}

/** @param {string} characters @param {string} replacement @returns {[string, string][]} */
function pairs(characters, replacement) {
  return [...characters].map((character) => [character, replacement]);
}
