/**
 * Tabs: one tab stop, arrow keys move between them.
 *
 * @module tabs
 */

import { h } from "./dom.js";

/**
 * @param {string} label What the tabs are of, to those who do not see them.
 * @param {{ id: string, label: string, content: Node }[]} list
 * @param {(id: string) => void} [onselect] Told of each tab that is shown, the first one too.
 * @returns {{ element: HTMLElement, select(id: string): void, rename(id: string, label: string): void }}
 */
export function tabs(label, list, onselect = () => {}) {
  const prefix = crypto.randomUUID();
  const entries = list.map(({ id, label, content }) => {
    const button = h(
      "button",
      { type: "button", role: "tab", id: `tab-${prefix}-${id}`, onclick: () => select(id) },
      label,
    );
    const panel = h("div", { role: "tabpanel", class: "tab-panel", "aria-labelledby": button.id }, content);
    panel.id = `panel-${prefix}-${id}`;
    button.setAttribute("aria-controls", panel.id);
    return { id, button, panel };
  });
  const select = (id) => {
    for (const entry of entries) {
      const selected = entry.id === id;
      entry.button.setAttribute("aria-selected", String(selected));
      entry.button.tabIndex = selected ? 0 : -1;
      entry.panel.hidden = !selected;
    }
    onselect(id);
  };
  const onkeydown = (event) => {
    const at = entries.findIndex(({ button }) => button === event.target);
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1 + entries.length,
      Home: 0,
      End: entries.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const entry = entries[to % entries.length];
    select(entry.id);
    entry.button.focus();
  };
  const bar = h(
    "div",
    { class: "tab-bar", role: "tablist", "aria-label": label, onkeydown },
    entries.map((entry) => entry.button),
  );
  select(entries[0].id);
  return {
    element: h(
      "div",
      { class: "tabs" },
      bar,
      entries.map((entry) => entry.panel),
    ),
    select,
    rename(id, label) {
      const entry = entries.find((entry) => entry.id === id);
      if (entry) entry.button.textContent = label;
    },
  };
}
