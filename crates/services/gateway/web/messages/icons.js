/**
 * Small pictures, drawn in the color of the text they stand in. They say nothing to those who listen: a word
 * beside them or a label does.
 *
 * @module messages/icons
 */

const SVG = "http://www.w3.org/2000/svg";

/** Lines on a field of 16 by 16. */
const SHAPES = {
  lock: "M5 7V5a3 3 0 0 1 6 0v2M3.5 7h9v6.5h-9z",
  clip: "M13 7.5 7.8 12.7a3 3 0 0 1-4.3-4.3L9 3a2 2 0 0 1 2.9 2.9L6.6 11.2a1 1 0 0 1-1.5-1.4L9.8 5",
  clock: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M8 5v3.2l2.2 1.3",
  phone: "M4 2.5h2l1 3-1.5 1a7 7 0 0 0 4 4l1-1.5 3 1v2q0 1.5-1.5 1.5A9.5 9.5 0 0 1 2.5 4q0-1.5 1.5-1.5z",
  warning: "M8 2.5 14 13.5H2zM8 6.5v3.2M8 11.3v.4",
  check: "M3 8.5 6.5 12 13 4.5",
  checks: "M1 8.5 4.5 12 11 4.5M8 11l.8 1L15.5 4.5",
  question: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.7.4-1.1.8-1.1 1.6M8 12v.4",
  stop: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M4.2 4.2l7.6 7.6",
};

/**
 * @param {keyof typeof SHAPES} name
 * @param {number} [size] In pixels.
 * @returns {SVGSVGElement}
 */
export function icon(name, size = 14) {
  const picture = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, "path");
  set(picture, { viewBox: "0 0 16 16", width: size, height: size, class: "drawn", "aria-hidden": "true" });
  set(shape, { d: SHAPES[name], fill: "none", stroke: "currentColor" });
  set(shape, { "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round" });
  picture.append(shape);
  return picture;
}

/**
 * @param {Element} element
 * @param {Record<string, string | number>} attributes
 */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
