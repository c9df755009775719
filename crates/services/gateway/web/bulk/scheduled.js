/**
 * Sends that wait for their time, soonest first, live: each with its text and whom it is for.
 *
 * @module bulk/scheduled
 */

import { h, replace } from "../dom.js";
import { formatCount, formatList, formatPeople } from "../format.js";
import { ScheduledList } from "../messages/schedule.js";

/** Of many recipients only these are named. */
const NAMED = 3;

/**
 * @param {{ store: import("../store.js").Store }} context
 * @param {AbortSignal} signal Until then it is live.
 * @returns {{ element: HTMLElement, show(): void }} `show` says that somebody looks.
 */
export function scheduledSends({ store }, signal) {
  const status = h("p", { class: "empty", role: "status" }, "Nothing is scheduled.");
  const list = h("ul", { class: "scheduled-sends" });
  const nameOf = knownNames(store, signal);
  let isShown = false;
  const show = () => {
    if (!isShown) return;
    const sends = store.scheduled();
    replace(
      list,
      sends.map((send) => scheduledRow(store, send, nameOf)),
    );
    status.hidden = sends.length > 0;
  };
  store.addEventListener("scheduled", show, { signal });
  return {
    element: h("div", null, status, list),
    show() {
      isShown = true;
      show();
    },
  };
}

function scheduledRow(store, send, nameOf) {
  const whom = h("strong", null, formatCount(send.recipient_count, "recipient"));
  const texts = new ScheduledList(store);
  texts.show([send]);
  // Many of one name would be no landmarks.
  texts.element.removeAttribute("aria-label");
  listNames(send, nameOf).then(
    (names) => (whom.textContent = names),
    // The count says enough when the names cannot be had.
    () => {},
  );
  return h(
    "li",
    { class: "scheduled-row" },
    h("p", null, whom, " ", h("span", { class: "quiet" }, `by ${send.manager.name}`)),
    texts.element,
  );
}

/** `Ana Torres, Ben Okafor and 3 others` */
async function listNames({ recipients, recipient_count }, nameOf) {
  const names = await Promise.all(recipients.slice(0, NAMED).map(nameOf));
  const others = recipient_count - names.length;
  return formatList(others > 0 ? [...names, formatCount(others, "other")] : names);
}

/** The names of recipients; each person is asked for once. */
function knownNames(store, signal) {
  /** @type {Map<string, Promise<string>>} */
  const names = new Map();
  const load = async (person_id) => {
    const path = `/v1/people/${encodeURIComponent(person_id)}`;
    const person = await store.client.get(path, {}, { signal });
    return person.name;
  };
  return async ({ person_id, conversation_id }) => {
    if (person_id === undefined) {
      return formatPeople(
        store.conversation(conversation_id) ?? (await store.loadConversation(conversation_id)),
      );
    }
    if (!names.has(person_id)) names.set(person_id, load(person_id));
    return names.get(person_id);
  };
}
