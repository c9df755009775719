/**
 * To whom: the chosen ones, and people to choose from.
 *
 * @module bulk/picker
 */

import { h, replace } from "../dom.js";
import { whileBusy } from "../form.js";
import { formatCount } from "../format.js";
import { problemWords } from "../words.js";
import { MAX_RECIPIENTS, choose } from "./draft.js";
import { PeopleList } from "./people-list.js";

/** More chips than these stand behind a button. */
const SHOWN_CHIPS = 24;

/**
 * @param {import("./draft.js").Draft} draft
 * @param {import("../store.js").Store} store
 * @returns {{ element: HTMLElement, setError(text: string | null): void, focus(): void, close(): void }}
 */
export function picker(draft, store) {
  const closing = new AbortController();
  const count = h("strong", { role: "status" });
  const chips = chosenChips(draft);
  const error = h("p", { class: "field-error", role: "alert" });
  const people = new PeopleList({
    store,
    many: true,
    isChosen: (person) => draft.has(choose(person).id),
    onchoose(person, chosen) {
      if (chosen) warnOfThoseLeft(draft.add([choose(person)]));
      else draft.remove([choose(person).id]);
    },
    onlist: () => showAllButtons(),
  });
  const warnOfThoseLeft = (left) => {
    error.textContent =
      left > 0
        ? `One message goes to ${formatCount(MAX_RECIPIENTS, "person", "people")} at most: ${left} were left out.`
        : "";
  };
  const chooseShown = h(
    "button",
    {
      type: "button",
      class: "small",
      disabled: true,
      onclick: () => warnOfThoseLeft(draft.add(people.shown.map(choose))),
    },
    "Choose all shown",
  );
  const chooseMatching = h(
    "button",
    { type: "button", class: "small", onclick: () => chooseAll() },
    "Choose all that match",
  );
  const removeAll = h(
    "button",
    { type: "button", class: "small", onclick: () => draft.remove(draft.recipients.map(({ id }) => id)) },
    "Remove all",
  );

  function showAllButtons() {
    chooseShown.disabled = people.shown.length === 0;
    chooseMatching.hidden = !people.hasMore;
  }

  async function addMatching() {
    for await (const page of people.matching(closing.signal)) {
      const left = draft.add(page.map(choose));
      warnOfThoseLeft(left);
      if (left > 0) return;
    }
  }

  async function chooseAll() {
    try {
      await whileBusy(chooseMatching, "Choosing…", addMatching);
    } catch (problem) {
      if (!closing.signal.aborted) error.textContent = problemWords(problem);
    }
  }

  const show = () => {
    count.textContent =
      draft.count === 0 ? "Nobody is chosen yet" : `${formatCount(draft.count, "person", "people")} chosen`;
    removeAll.hidden = draft.count === 0;
    if (draft.count > 0) error.textContent = "";
    chips.show();
    people.refresh();
  };
  draft.addEventListener("recipients", show, { signal: closing.signal });
  show();

  return {
    element: h(
      "section",
      { class: "bulk-section", "aria-labelledby": "bulk-to" },
      h("h3", { id: "bulk-to" }, "To"),
      h("p", { class: "quiet" }, "Each person gets a message of their own. Nobody sees who else got it."),
      h("div", { class: "cluster" }, count, removeAll),
      chips.element,
      error,
      people.element,
      h("div", { class: "cluster" }, chooseShown, chooseMatching),
    ),
    setError: (text) => (error.textContent = text ?? ""),
    focus: () => people.search.focus(),
    close() {
      closing.abort();
      people.close();
    },
  };
}

/** The chosen ones, each with a button that takes them out again. */
function chosenChips(draft) {
  const element = h("ul", { class: "chips", "aria-label": "Chosen people" });
  let showsAll = false;
  const remove = (id, at) => {
    draft.remove([id]);
    const buttons = element.querySelectorAll("button");
    /** @type {HTMLElement | undefined} */ (buttons[Math.min(at, buttons.length - 1)])?.focus();
  };
  const show = () => {
    const all = draft.recipients;
    const shown = showsAll ? all : all.slice(0, SHOWN_CHIPS);
    replace(
      element,
      shown.map(({ id, name }, at) =>
        h(
          "li",
          { class: "chip" },
          h("span", null, name),
          h("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => remove(id, at) }, "✕"),
        ),
      ),
      all.length > shown.length &&
        h(
          "li",
          null,
          h(
            "button",
            {
              type: "button",
              class: "small",
              onclick() {
                showsAll = true;
                show();
              },
            },
            `and ${formatCount(all.length - shown.length, "other", "others")}`,
          ),
        ),
    );
    if (all.length === 0) showsAll = false;
  };
  return { element, show };
}
