/**
 * What can be done with a whole conversation: print it, note what its person wants, delete it.
 *
 * @module messages/actions
 */

import { confirmWithWord, note, openDialog } from "../dialog.js";
import { h, replace } from "../dom.js";
import { formatCount, formatPeople } from "../format.js";
import { problemWords } from "../words.js";
import { save } from "./media.js";

/** So many messages are counted before a deletion; beyond that, "more than" is enough. */
const MOST_COUNTED = 2_000;
const PAGE = 200;
const LONGEST_REASON = 500;

/**
 * Shows all of a conversation as text, to read or to keep.
 *
 * @param {import("../store.js").Store} store
 * @param {any} conversation
 */
export async function openTranscript(store, conversation) {
  const place = h(
    "div",
    { class: "transcript", "aria-live": "polite" },
    h("p", { class: "quiet" }, "Fetching it…"),
  );
  const dialog = openDialog({ title: "Transcript", class: "transcript-dialog", content: [place] });
  try {
    const blob = await store.client.blob(`/v1/conversations/${conversation.conversation_id}/transcript`, {
      query: { format: "text" },
    });
    const url = URL.createObjectURL(blob);
    dialog.addEventListener("close", () => URL.revokeObjectURL(url));
    const keep = () => save(url, `conversation-${conversation.conversation_id}.txt`);
    replace(
      place,
      h("pre", { tabIndex: 0, "aria-label": "The conversation as text" }, await blob.text()),
      h("footer", null, h("button", { type: "button", class: "button primary", onclick: keep }, "Download")),
    );
  } catch (problem) {
    replace(place, h("p", { role: "alert" }, problemWords(problem)));
  }
}

/**
 * Notes that a person wants no texts, or wants them again, with what they said.
 *
 * @param {import("../store.js").Store} store
 * @param {any} conversation
 * @param {boolean} optedOut
 */
export function askForConsent(store, conversation, optedOut) {
  const refusal = h("p", { class: "error", role: "alert", id: "consent-refusal" });
  const reason = h("textarea", {
    rows: 3,
    required: true,
    maxLength: LONGEST_REASON,
    "aria-describedby": "consent-refusal",
    placeholder: "Asked on the phone.",
  });
  const confirm = h(
    "button",
    { type: "submit", class: "button primary" },
    optedOut ? "Note it: no texts" : "Note it: texts again",
  );
  const submit = async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    try {
      await store.setConsent(conversation.conversation_id, {
        opted_out: optedOut,
        reason: reason.value.trim(),
      });
      dialog.close();
      note(optedOut ? "Noted. No texts are sent to this number." : "Noted. Texts can be sent again.");
    } catch (problem) {
      refusal.textContent = problemWords(problem);
      confirm.disabled = false;
      reason.focus();
    }
  };
  const form = h(
    "form",
    { onsubmit: submit },
    h("p", null, explainConsent(conversation, optedOut)),
    h("label", { class: "field" }, "How did they say it?", reason),
    refusal,
    h(
      "footer",
      null,
      h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel"),
      confirm,
    ),
  );
  const dialog = openDialog({
    title: optedOut ? "No texts are wanted" : "Texts are welcome again",
    content: [form],
  });
  reason.focus();
}

/**
 * @param {any} conversation
 * @param {boolean} optedOut
 */
function explainConsent(conversation, optedOut) {
  const who = formatPeople(conversation);
  if (optedOut) {
    return `Nothing is sent to ${who} until texts are noted as welcome again, or START comes from the phone.`;
  }
  const again = `Texts can be sent to ${who} again.`;
  if (conversation.consent?.source === "manager") return again;
  return `${again} The carrier has a list too; if it refuses the next one, only START from the phone helps.`;
}

/**
 * Deletes a conversation, after a question that cannot be answered by accident.
 *
 * @param {import("../store.js").Store} store
 * @param {any} conversation
 */
export async function askForDeletion(store, conversation) {
  const count = h("strong", null, "all messages");
  countMessages(store.client, conversation.conversation_id).then(
    (words) => (count.textContent = words),
    () => {},
  );
  const confirmed = await confirmWithWord({
    title: "Delete this conversation?",
    content: [
      h(
        "p",
        null,
        "With ",
        h("strong", null, formatPeople(conversation)),
        ". Everything in it is erased, for everybody: ",
        count,
        " and all files.",
      ),
      h("p", null, "What is not sent yet is not sent. This cannot be undone."),
    ],
    action: "Delete Conversation",
    word: "delete",
  });
  if (!confirmed) return;
  try {
    await store.deleteConversation(conversation.conversation_id);
  } catch (problem) {
    note(problemWords(problem), { isError: true });
  }
}

/**
 * How many messages a conversation has, in words.
 *
 * @param {import("../client.js").Client} client
 * @param {string} conversationId
 * @returns {Promise<string>}
 */
async function countMessages(client, conversationId) {
  let messages = 0;
  const path = `/v1/conversations/${conversationId}/messages`;
  for await (const page of client.pages(path, { limit: PAGE }, { cursorName: "before" })) {
    messages += page.items.length;
    if (page.next_cursor && messages >= MOST_COUNTED) return `more than ${formatCount(messages, "message")}`;
  }
  return formatCount(messages, "message");
}
