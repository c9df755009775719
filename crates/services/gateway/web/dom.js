/**
 * Builds elements. What is given as a string becomes text, never markup: a text from outside shows as it was typed.
 *
 * @module dom
 */

/**
 * @typedef {Node | string | number | null | undefined | false | Child[]} Child
 */

/**
 * An element with its properties and children.
 *
 * A property that begins with `on` is a listener (`onclick`); `class`, `for` and everything with a dash is an attribute
 * (`aria-label`, `data-id`); `true` is an empty attribute; null, undefined and false leave it out; all else is a property
 * of the element where it has one (`value`, `disabled`), and an attribute where it has none.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (name in element && !name.includes("-") && name !== "list") element[name] = value;
    else element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

/**
 * Puts children in the place of those that are there.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * @param {Element} element
 * @param {Child[]} children
 */
function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}
