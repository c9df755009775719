/**
 * Forms: fields whose hint and error are read out with them, problems next to the field that they are about, and work
 * that is done once however often it is asked for.
 *
 * @module form
 */

import { h } from "./dom.js";

/**
 * @typedef {object} Field
 * @property {HTMLElement} element Label, input, hint and error.
 * @property {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} input
 * @property {(text: string | null) => void} setError Null: there is none.
 */

/**
 * An input with its label. What is typed takes the error away.
 *
 * @param {{
 *   label: string,
 *   input: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement,
 *   hint?: import("./dom.js").Child,
 * }} options
 * @returns {Field}
 */
export function field({ label, input, hint }) {
  input.id ||= `field-${crypto.randomUUID()}`;
  const hintLine = hint ? h("span", { class: "hint quiet", id: `${input.id}-hint` }, hint) : null;
  const errorLine = h("span", { class: "field-error", id: `${input.id}-error`, hidden: true });
  const setError = (text) => {
    errorLine.textContent = text ?? "";
    errorLine.hidden = !text;
    const described = [text && errorLine.id, hintLine?.id].filter(Boolean).join(" ");
    if (described) input.setAttribute("aria-describedby", described);
    else input.removeAttribute("aria-describedby");
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  setError(null);
  input.addEventListener("input", () => setError(null));
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    input,
    hintLine,
    errorLine,
  );
  return { element, input, setError };
}

/**
 * The line of a form for what is about no field. It is read out when it is set.
 *
 * @returns {{ element: HTMLElement, set(text: string | null): void }}
 */
export function problemLine() {
  const element = h("p", { class: "form-error", role: "alert" });
  return { element, set: (text) => (element.textContent = text ?? "") };
}

/**
 * Shows errors at their fields and goes to the first of them.
 *
 * @param {[Field, string | null][]} errors
 * @returns {boolean} There was one.
 */
export function showErrors(errors) {
  for (const [field, text] of errors) field.setError(text);
  const first = errors.find(([, text]) => text);
  first?.[0].input.focus();
  return first !== undefined;
}

/**
 * Shows a refusal at the field that it names, or in the form's own line.
 *
 * @param {string} text The refusal in words.
 * @param {{ document?: { field?: string } | null }} problem
 * @param {Record<string, Field>} fields By the API's name.
 * @param {{ set(text: string | null): void }} line
 */
export function showProblem(text, problem, fields, line) {
  const name = problem.document?.field?.replace(/[.[].*/, "");
  if (name !== undefined && Object.hasOwn(fields, name)) showErrors([[fields[name], text]]);
  else line.set(text);
}

/**
 * Does work while its button says so. A second click meanwhile does nothing.
 *
 * @template T
 * @param {HTMLButtonElement} button
 * @param {string} label What the button says meanwhile.
 * @param {() => Promise<T>} work
 * @returns {Promise<T | undefined>} Undefined: it was going on already.
 */
export async function whileBusy(button, label, work) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  const before = button.textContent;
  const hadFocus = document.activeElement === button;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  button.textContent = label;
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
    button.textContent = before;
    if (hadFocus && button.isConnected && document.activeElement === document.body) button.focus();
  }
}
