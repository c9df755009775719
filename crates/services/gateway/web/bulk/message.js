/**
 * What a send says: the text with its fields, files, and when it goes out.
 *
 * @module bulk/message
 */

import { h } from "../dom.js";
import { field } from "../form.js";
import { Attachments } from "../messages/attachments.js";
import { LengthLine } from "../messages/length.js";
import { TimeField, nextHour } from "../messages/schedule.js";

const MERGE_FIELDS = [
  { label: "First name", text: "{{person.first_name}}" },
  { label: "Full name", text: "{{person.name}}" },
  { label: "Company name", text: "{{company.name}}" },
];

/**
 * @param {import("./draft.js").Draft} draft
 * @returns {{ element: HTMLElement, text: import("../form.js").Field, show(): void, check(): boolean }}
 *   `show`: the draft as it is now. `check`: says what is missing and goes there; true when nothing is.
 */
export function messageSection(draft) {
  const input = h("textarea", { rows: 5, oninput: () => (draft.body = input.value) });
  const text = field({ label: "Text", input, hint: "The fields are filled in for each person." });
  const length = new LengthLine(input);
  input.addEventListener("input", () => length.update());
  const attachments = new Attachments({ onChange: () => (draft.mediaUrls = attachments.urls) });
  const time = sendingTime(draft);

  const check = () => {
    const isEmpty = draft.body.trim() === "" && draft.mediaUrls.length === 0;
    if (isEmpty) {
      text.setError("Write something, or attach a file.");
      input.focus();
    }
    return !isEmpty && time.check();
  };
  const show = () => {
    input.value = draft.body;
    length.update();
    attachments.urls = draft.mediaUrls;
    time.show();
  };
  show();

  const insert = ({ label, text }) =>
    h("button", { type: "button", class: "small", onclick: () => insertText(input, text) }, `+ ${label}`);
  return {
    element: h(
      "section",
      { class: "bulk-section", "aria-labelledby": "bulk-message" },
      h("h3", { id: "bulk-message" }, "Message"),
      text.element,
      h(
        "div",
        { class: "cluster", role: "group", "aria-label": "Insert a field" },
        MERGE_FIELDS.map(insert),
        attachments.button,
      ),
      length.element,
      attachments.element,
      time.element,
    ),
    text,
    show,
    check,
  };
}

/** Now, or a time. */
function sendingTime(draft) {
  const name = `when-${crypto.randomUUID()}`;
  const later = h("input", { type: "radio", name, onchange: () => choose() });
  const now = h("input", { type: "radio", name, onchange: () => choose() });
  const time = new TimeField({ onChange: () => take() });
  const take = () => (draft.sendAt = later.checked ? time.value : null);
  const choose = () => {
    time.element.hidden = !later.checked;
    if (later.checked && time.value === null) time.value = nextHour();
    take();
  };
  return {
    element: h(
      "fieldset",
      { class: "when" },
      h("legend", null, "When"),
      h("label", { class: "choice-line" }, now, "Now"),
      h("label", { class: "choice-line" }, later, "Later"),
      time.element,
    ),
    check: () => !later.checked || time.check(),
    show() {
      later.checked = draft.sendAt !== null;
      now.checked = !later.checked;
      time.value = draft.sendAt;
      time.element.hidden = !later.checked;
    },
  };
}

/**
 * Puts a text where the cursor is, as if it had been typed.
 *
 * @param {HTMLTextAreaElement} input
 * @param {string} text
 */
function insertText(input, text) {
  input.focus();
  input.setRangeText(text, input.selectionStart, input.selectionEnd, "end");
  input.dispatchEvent(new Event("input", { bubbles: true }));
}
