/**
 * What a tab of the browser remembers while it is open.
 *
 * A browser may forbid a page to remember anything, first of all one that is embedded in a page of another site. Then it is
 * kept until the page is loaded again.
 *
 * @module tab-storage
 */

/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} TabStorage */

/** @type {Map<string, string>} */
const kept = new Map();

/** @type {TabStorage} */
const substitute = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => void kept.set(name, value),
  removeItem: (name) => void kept.delete(name),
};

/** @returns {TabStorage} */
export function tabStorage() {
  try {
    return sessionStorage;
  } catch {
    return substitute;
  }
}
