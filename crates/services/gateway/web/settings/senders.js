/**
 * Messages of senders whom nobody knows: say who it is, or block the number. And the numbers that are blocked.
 *
 * @module settings/senders
 */

import { note, openDialog, question } from "../dialog.js";
import { h } from "../dom.js";
import { field, problemLine, showErrors, showProblem, whileBusy } from "../form.js";
import { formatCount, formatMoment, formatNumber } from "../format.js";
import { PeopleList } from "../bulk/people-list.js";
import { problemWords } from "../words.js";
import { LiveList } from "./live-list.js";

/**
 * @param {import("./page.js").Context} context
 * @param {AbortSignal} signal Until then it is live.
 * @returns {{ element: HTMLElement, show(): void }} `show` loads the lists when they are first looked at.
 */
export function senders(context, signal) {
  const { store } = context;
  const unknown = new LiveList({
    load: (query) => store.client.get("/v1/unmatched", query, { signal }),
    row: (message) => unknownRow(context, message, () => refresh()),
    empty: "Nobody unknown has texted in the last 30 days.",
    signal,
  });
  const blocked = new LiveList({
    load: (query) => store.client.get("/v1/blocked-numbers", query, { signal }),
    row: (number) => blockedRow(store, number, () => refresh()),
    empty: "No number is blocked.",
    signal,
  });
  const refresh = () => {
    unknown.refresh();
    blocked.refresh();
  };
  store.addEventListener("unmatched", refresh, { signal });
  return {
    element: h(
      "div",
      { class: "settings-page" },
      h(
        "section",
        { class: "card", "aria-labelledby": "settings-unknown" },
        h("h2", { id: "settings-unknown" }, "Unknown Senders"),
        h(
          "p",
          { class: "quiet" },
          "Their numbers belong to nobody you know. What they text is kept for 30 days.",
        ),
        unknown.element,
      ),
      h(
        "section",
        { class: "card", "aria-labelledby": "settings-blocked" },
        h("h2", { id: "settings-blocked" }, "Blocked Numbers"),
        h(
          "p",
          { class: "quiet" },
          "Nothing of them is kept while they are nobody's. A person you know is always heard.",
        ),
        blockForm(store, refresh),
        blocked.element,
      ),
    ),
    show() {
      unknown.show();
      blocked.show();
    },
  };
}

function unknownRow(context, message, onchange) {
  const { from, body, media, received_at } = message;
  const number = formatNumber(from);
  const tie = h(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": `Say who ${number} is`,
      onclick: () => openTie(context, message, onchange),
    },
    "Say who it is…",
  );
  const block = h(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": `Block ${number}`,
      onclick: () => askToBlock(context.store, message, block, onchange),
    },
    "Block…",
  );
  return h(
    "li",
    { class: "entry unknown-entry" },
    h(
      "div",
      { class: "entry-main" },
      h(
        "p",
        null,
        h("strong", null, number),
        " ",
        h("time", { class: "quiet", dateTime: received_at }, formatMoment(received_at)),
      ),
      body !== "" && h("p", { class: "unknown-text" }, body),
      media.length > 0 && h("p", { class: "quiet" }, `With ${formatCount(media.length, "file")}.`),
    ),
    h("div", { class: "cluster" }, tie, block),
  );
}

/** Asks whose number it is, among all people. */
function openTie({ store, navigate }, { unmatched_id, from }, onchange) {
  /** @type {import("../bulk/people-list.js").Person | null} */
  let chosen = null;
  const line = problemLine();
  const tie = h(
    "button",
    { type: "button", class: "primary", disabled: true, onclick: () => finish() },
    "Choose a person",
  );
  const people = new PeopleList({
    store,
    many: false,
    isChosen: (person) => person.person_id === chosen?.person_id,
    onchoose(person) {
      chosen = person;
      tie.disabled = false;
      tie.textContent = `It is ${person.name}`;
    },
  });
  const finish = async () => {
    line.set(null);
    try {
      const path = `/v1/unmatched/${encodeURIComponent(unmatched_id)}/tie`;
      const tied = await whileBusy(tie, "Saving…", () =>
        store.client.post(path, { person_id: chosen.person_id }),
      );
      if (tied === undefined) return;
      dialog.close();
      onchange();
      note(`${formatNumber(from)} is ${chosen.name} now.`);
      navigate(`#/messages/${tied.conversation.conversation_id}`);
    } catch (problem) {
      line.set(problemWords(problem));
    }
  };
  const dialog = openDialog({
    title: `Who is ${formatNumber(from)}?`,
    class: "tie",
    content: [
      h(
        "p",
        null,
        "The number is added to this person's phones, and what it has texted becomes a conversation.",
      ),
      people.element,
      line.element,
      h("footer", null, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), tie),
    ],
  });
  dialog.addEventListener("close", () => people.close());
  people.search.focus();
}

async function askToBlock(store, { unmatched_id, from }, button, onchange) {
  const number = formatNumber(from);
  const confirmed = await question({
    title: `Block ${number}?`,
    content: [h("p", null, "What is kept of it is erased, and nothing is kept of it from now on.")],
    action: "Block it",
  });
  if (!confirmed) return;
  try {
    await whileBusy(button, "Blocking…", () => store.client.post("/v1/blocked-numbers", { unmatched_id }));
    note(`${number} is blocked.`);
    onchange();
  } catch (problem) {
    note(problemWords(problem), { isError: true });
    onchange();
  }
}

function blockForm(store, onchange) {
  const number = field({
    label: "Number to block",
    input: h("input", { type: "tel", autocomplete: "off" }),
  });
  const line = problemLine();
  const block = h("button", { type: "submit", class: "button" }, "Block");
  const submit = async (event) => {
    event.preventDefault();
    line.set(null);
    const typed = number.input.value.trim();
    if (showErrors([[number, typed === "" ? "Give a number." : null]])) return;
    try {
      const blocked = await whileBusy(block, "Blocking…", () =>
        store.client.post("/v1/blocked-numbers", { number: typed }),
      );
      if (blocked === undefined) return;
      number.input.value = "";
      note(`${formatNumber(blocked.number)} is blocked.`);
      onchange();
    } catch (problem) {
      showProblem(problemWords(problem), problem, { number }, line);
    }
  };
  return h(
    "form",
    { class: "form inline", noValidate: true, onsubmit: submit },
    number.element,
    block,
    line.element,
  );
}

function blockedRow(store, { blocked_id, number, blocked_by, blocked_at }, onchange) {
  const unblock = async () => {
    try {
      const path = `/v1/blocked-numbers/${encodeURIComponent(blocked_id)}`;
      await whileBusy(button, "Unblocking…", () => store.client.delete(path));
      note(`${formatNumber(number)} is not blocked any more.`);
    } catch (problem) {
      note(problemWords(problem), { isError: true });
    }
    onchange();
  };
  const button = h(
    "button",
    { type: "button", class: "small", "aria-label": `Unblock ${formatNumber(number)}`, onclick: unblock },
    "Unblock",
  );
  return h(
    "li",
    { class: "entry" },
    h(
      "div",
      { class: "entry-main" },
      h("strong", null, formatNumber(number)),
      h("span", { class: "quiet" }, `${blocked_by.name}, ${formatMoment(blocked_at)}`),
    ),
    button,
  );
}
