/**
 * Text Message: one text to many, as many messages. Also the sends that were made, and those that wait for their
 * time.
 *
 * @module bulk/dialog
 */

import { openDialog } from "../dialog.js";
import { tabs } from "../tabs.js";
import { Compose } from "./compose.js";
import { Draft, choose } from "./draft.js";
import { RecentSends } from "./recent.js";
import { scheduledSends } from "./scheduled.js";

/**
 * What was begun, by who is signed in: closing the dialog loses nothing.
 *
 * @type {WeakMap<import("../store.js").Store, Draft>}
 */
const drafts = new WeakMap();

/**
 * Opens the dialog. A send that was begun before is there again.
 *
 * @param {{ store: import("../store.js").Store, navigate(hash: string): void }} context
 * @param {import("./draft.js").Whom[]} [recipients]
 *   Whom the send is for, in the place of those chosen before. None: as it was left.
 */
export function openTextMessage(context, recipients = []) {
  const closing = new AbortController();
  const { signal } = closing;
  const draft = takeDraft(context.store, recipients);
  const recent = new RecentSends(context, signal);
  const scheduled = scheduledSends(context, signal);
  const fresh = new Compose(context, draft, { signal, onscheduled: () => pages.select("scheduled") });
  const pages = tabs(
    "Text Message",
    [
      { id: "new", label: "New", content: fresh.element },
      { id: "recent", label: "Recent Sends", content: recent.element },
      { id: "scheduled", label: "Scheduled", content: scheduled.element },
    ],
    (id) => {
      if (id === "recent") recent.show();
      if (id === "scheduled") scheduled.show();
    },
  );
  const dialog = openDialog({ title: "Text Message", class: "bulk", content: [pages.element] });
  dialog.addEventListener("close", () => closing.abort());
  // A link in it leads to a page below.
  window.addEventListener("hashchange", () => dialog.close(), { signal });
  fresh.focus();
}

/**
 * @param {import("../store.js").Store} store
 * @param {import("./draft.js").Whom[]} recipients
 */
function takeDraft(store, recipients) {
  const draft = drafts.get(store) ?? new Draft();
  drafts.set(store, draft);
  if (recipients.length > 0) {
    draft.remove(draft.recipients.map(({ id }) => id));
    draft.add(recipients.map(choose));
  }
  return draft;
}
