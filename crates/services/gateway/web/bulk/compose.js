/**
 * A new send, on one page: to whom, what, the preview, and how it goes on once it is sent. Nothing is sent that was
 * not previewed as it is.
 *
 * @module bulk/compose
 */

import { note } from "../dialog.js";
import { h, replace } from "../dom.js";
import { problemLine, showProblem, whileBusy } from "../form.js";
import { formatCount, formatMoment } from "../format.js";
import { problemWords } from "../words.js";
import { messageSection } from "./message.js";
import { picker } from "./picker.js";
import { previewPanel, previewWords, rejections } from "./preview.js";
import { BatchCard } from "./progress.js";

/** The form, and after it what became of the send, in `element`. */
export class Compose {
  #context;
  #draft;
  #signal;
  #onscheduled;
  /** @type {import("./preview.js").Preview | null} Of the draft as it is. */
  #preview = null;
  #isSending = false;

  /**
   * @param {{ store: import("../store.js").Store }} context
   * @param {import("./draft.js").Draft} draft
   * @param {{ signal: AbortSignal, onscheduled: () => void }} options `onscheduled`: the reader wants to see what
   *   waits.
   */
  constructor(context, draft, { signal, onscheduled }) {
    this.#context = context;
    this.#draft = draft;
    this.#signal = signal;
    this.#onscheduled = onscheduled;
    this.to = picker(draft, context.store);
    this.message = messageSection(draft);
    this.line = problemLine();
    this.sum = h("p", { class: "preview-sum", role: "status" });
    this.previewPlace = h("div");
    this.previewButton = h("button", { type: "submit", class: "primary" }, "Preview");
    this.sendButton = h("button", {
      type: "button",
      class: "primary",
      hidden: true,
      onclick: () => this.#send(),
    });
    this.form = h(
      "form",
      { class: "bulk-form", noValidate: true, onsubmit: (event) => this.#showPreview(event) },
      this.to.element,
      this.message.element,
      h(
        "section",
        { class: "bulk-section", "aria-labelledby": "bulk-preview" },
        h("h3", { id: "bulk-preview" }, "Preview"),
        this.sum,
        this.previewPlace,
        this.line.element,
      ),
      h("footer", null, this.previewButton, this.sendButton),
    );
    this.result = h("div", { class: "bulk-result", tabIndex: -1, hidden: true });
    this.element = h("div", null, this.form, this.result);
    draft.addEventListener("change", () => this.#forgetPreview(), { signal });
    signal.addEventListener("abort", () => this.to.close());
    this.#forgetPreview();
  }

  /** Goes to what is missing. */
  focus() {
    if (this.#draft.count === 0) this.to.focus();
    else this.message.text.input.focus();
  }

  #forgetPreview() {
    this.#preview = null;
    this.previewButton.hidden = false;
    this.sendButton.hidden = true;
    this.line.set(null);
    this.sum.textContent = "Look at it before it goes out: nothing is sent by that.";
    replace(this.previewPlace);
  }

  #check() {
    if (this.#draft.count === 0) {
      this.to.setError("Choose at least one person.");
      this.to.focus();
      return false;
    }
    return this.message.check();
  }

  async #showPreview(event) {
    event.preventDefault();
    if (this.#isSending || this.#preview !== null || !this.#check()) return;
    this.line.set(null);
    const { key } = this.#draft;
    const ask = () =>
      this.#context.store.client.post("/v1/messages/preview", this.#draft.toMessage(), {
        signal: this.#signal,
      });
    try {
      const preview = await whileBusy(this.previewButton, "Looking…", ask);
      // Of a draft that was changed meanwhile it says nothing.
      if (preview !== undefined && key === this.#draft.key) this.#takePreview(preview);
    } catch (problem) {
      this.#refuse(problem);
    }
  }

  /** @param {import("./preview.js").Preview} preview */
  #takePreview(preview) {
    const count = preview.messages.length;
    this.#preview = preview;
    this.sum.textContent = previewWords(preview, this.#draft.sendAt);
    replace(this.previewPlace, previewPanel(preview, this.#draft));
    if (count === 0) return;
    const messages = formatCount(count, "message");
    this.sendButton.textContent = this.#draft.sendAt ? `Schedule ${messages}` : `Send ${messages}`;
    this.sendButton.hidden = false;
    this.previewButton.hidden = true;
    this.sum.parentElement?.scrollIntoView({ block: "start" });
    this.sendButton.focus({ preventScroll: true });
  }

  async #send() {
    const draft = this.#draft;
    if (this.#isSending || this.#preview === null) return;
    this.#isSending = true;
    this.form.inert = true;
    this.line.set(null);
    try {
      const sent = await whileBusy(this.sendButton, "Sending…", () =>
        this.#context.store.client.send(draft.toMessage(), { idempotencyKey: draft.key }),
      );
      if (sent !== undefined) this.#showResult(sent);
    } catch (problem) {
      this.form.inert = false;
      if (this.#signal.aborted) note(problemWords(problem), { isError: true });
      this.#refuse(problem);
      if (problem.isTemporary) this.#offerToGoOn();
    } finally {
      this.#isSending = false;
      this.form.inert = false;
    }
  }

  /** Nobody knows whether it went out: the same send again sends nothing twice. */
  #offerToGoOn() {
    this.sendButton.textContent = "Try again";
    this.line.set("It is not known whether this was sent. Try again: nobody gets it twice.");
    this.sendButton.focus();
  }

  #refuse(problem) {
    if (problem.name === "AbortError") return;
    const rejected = problem.document?.rejected;
    if (rejected) {
      this.sum.textContent = "Nobody gets a message.";
      replace(this.previewPlace, rejections(rejected, this.#draft));
    }
    showProblem(problemWords(problem), problem, { body: this.message.text }, this.line);
  }

  /** @param {import("../client.js").Sent} sent */
  #showResult(sent) {
    if (this.#signal.aborted) note(this.#resultWords(sent));
    replace(
      this.result,
      h("h3", null, this.#resultWords(sent)),
      sent.rejected.length > 0 && rejections(sent.rejected, this.#draft),
      this.#progress(sent),
      h(
        "footer",
        null,
        h("button", { type: "button", onclick: () => this.#startOver() }, "Write another one"),
      ),
    );
    this.form.hidden = true;
    this.result.hidden = false;
    this.result.focus();
    this.#draft.clear();
    this.message.show();
  }

  /** @param {import("../client.js").Sent} sent */
  #resultWords({ scheduled, messages }) {
    if (scheduled) return `It is kept until ${formatMoment(scheduled.send_at)}.`;
    return `${formatCount(messages.length, "message is", "messages are")} on the way.`;
  }

  /**
   * What there is to follow: a batch, one message's conversation, or what waits for its time.
   *
   * @param {import("../client.js").Sent} sent
   */
  #progress(sent) {
    if (sent.scheduled) {
      return h("button", { type: "button", onclick: () => this.#onscheduled() }, "See what is scheduled");
    }
    if (sent.batch_id !== undefined) {
      return new BatchCard(this.#context, batchOf(sent, this.#context.store.manager), this.#signal).element;
    }
    const [message] = sent.messages;
    return (
      message &&
      h("p", null, h("a", { href: `#/messages/${message.conversation_id}` }, "Open the conversation"))
    );
  }

  #startOver() {
    this.result.hidden = true;
    replace(this.result);
    this.form.hidden = false;
    this.focus();
  }
}

/**
 * A batch as the answer tells it, until the store has it.
 *
 * @param {import("../client.js").Sent} sent
 * @param {{ id: string, name: string }} manager
 * @returns {import("./progress.js").Batch}
 */
function batchOf({ batch_id, messages, rejected }, { id, name }) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const { status } of messages) counts[status] = (counts[status] ?? 0) + 1;
  return {
    batch_id,
    manager: { id, name },
    created_at: messages[0]?.created_at ?? new Date().toISOString(),
    recipients: messages.length + rejected.length,
    rejected: rejected.length,
    messages: messages.length,
    counts,
    canceled_at: null,
    canceled_by: null,
  };
}
