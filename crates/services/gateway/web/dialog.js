/**
 * What opens above the page: dialogs, questions, the three-dot menus, and short notes that go by themselves.
 *
 * A dialog is the browser's own: it holds the focus, Escape closes it, and what had the focus has it again afterwards.
 *
 * @module dialog
 */

import { h, replace } from "./dom.js";

/**
 * Opens a dialog. It goes from the page when it closes.
 *
 * @param {{ title: string, class?: string, content: import("./dom.js").Child[] }} options
 * @returns {HTMLDialogElement} `close()` closes it; its `close` event says that it has closed.
 */
export function openDialog({ title, class: className = "", content }) {
  const heading = h("h2", { id: `dialog-${crypto.randomUUID()}` }, title);
  const closeButton = h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const notes = h("div", { class: "notes", "aria-live": "polite" });
  const dialog = h(
    "dialog",
    { class: `dialog ${className}`, "aria-labelledby": heading.id },
    h("header", null, heading, closeButton),
    h("div", { class: "dialog-content" }, ...content),
    notes,
  );
  dialog.addEventListener("close", () => {
    findNotes()?.append(...notes.children);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks before something that cannot be undone. The safe answer has the focus, and the other one needs its word typed: neither
 * a stray click nor a stray Enter does it.
 *
 * @param {{ title: string, content: import("./dom.js").Child[], action: string, word: string }} question
 *   `action`: what the button says. `word`: what has to be typed first.
 * @returns {Promise<boolean>}
 */
export function confirmWithWord({ title, content, action, word }) {
  return new Promise((resolve) => {
    let confirmed = false;
    const confirm = h("button", { type: "submit", class: "danger", disabled: true }, action);
    const typed = h("input", {
      type: "text",
      autocomplete: "off",
      oninput: () => (confirm.disabled = typed.value.trim().toLowerCase() !== word.toLowerCase()),
    });
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          confirmed = !confirm.disabled;
          dialog.close();
        },
      },
      ...content,
      h("label", null, "To go on, type ", h("strong", null, word), typed),
      h("footer", null, cancel, confirm),
    );
    const dialog = openDialog({ title, class: "question", content: [form] });
    cancel.focus();
    dialog.addEventListener("close", () => resolve(confirmed));
  });
}

/**
 * Asks before something that is easily done by mistake. The safe answer has the focus.
 *
 * @param {{ title: string, content: import("./dom.js").Child[], action: string, cancel?: string }} question
 *   What the buttons say: `action` goes on, `cancel` does not.
 * @returns {Promise<boolean>}
 */
export function question({ title, content, action, cancel = "Cancel" }) {
  return new Promise((resolve) => {
    let confirmed = false;
    const goOn = () => {
      confirmed = true;
      dialog.close();
    };
    const stay = h("button", { type: "button", onclick: () => dialog.close() }, cancel);
    const footer = h("footer", null, stay, h("button", { type: "button", class: "danger", onclick: goOn }, action));
    const dialog = openDialog({ title, class: "question", content: [...content, footer] });
    stay.focus();
    dialog.addEventListener("close", () => resolve(confirmed));
  });
}

/**
 * A three-dot button that opens a menu. Arrow keys move in it, Escape closes it.
 *
 * @param {string} label What the button is for, to those who do not see it.
 * @param {() => { label: string, danger?: boolean, disabled?: boolean, onchoose: () => void }[]} list Asked at each opening.
 * @returns {HTMLElement}
 */
export function menuButton(label, list) {
  const menu = h("div", { class: "menu", role: "menu", popover: "auto", id: `menu-${crypto.randomUUID()}` });
  const button = h(
    "button",
    {
      type: "button",
      class: "icon",
      "aria-label": label,
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      onclick: () => menu.togglePopover(),
    },
    "⋮",
  );
  const items = () => /** @type {HTMLButtonElement[]} */ ([...menu.querySelectorAll("button:not(:disabled)")]);
  menu.addEventListener("beforetoggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState !== "open") return;
    replace(
      menu,
      list().map(({ label, danger, disabled, onchoose }) =>
        h(
          "button",
          {
            type: "button",
            role: "menuitem",
            class: danger ? "danger" : null,
            disabled: disabled ?? false,
            onclick: () => {
              menu.hidePopover();
              button.focus();
              onchoose();
            },
          },
          label,
        ),
      ),
    );
    const place = button.getBoundingClientRect();
    menu.style.top = `${place.bottom + 4}px`;
    menu.style.right = `${Math.max(8, document.documentElement.clientWidth - place.right)}px`;
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "open") items()[0]?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all[to % all.length]?.focus();
  });
  return h("span", { class: "menu-holder" }, button, menu);
}

/**
 * Says something shortly, also to those who listen. It goes by itself.
 *
 * @param {string} text
 * @param {{ isError?: boolean }} [options]
 */
export function note(text, { isError = false } = {}) {
  const line = h("p", { class: isError ? "note error" : "note" }, text);
  findNotes()?.append(line);
  setTimeout(() => line.remove(), isError ? 10_000 : 5_000);
}

/** Where notes stand: in the uppermost dialog, for what is outside of it is neither seen nor read out. */
function findNotes() {
  const dialogs = document.querySelectorAll("dialog[open] > .notes");
  return dialogs.length > 0 ? dialogs[dialogs.length - 1] : document.getElementById("notes");
}
