/**
 * How far a batch is: a bar with its text, live, and the button that stops the rest.
 *
 * @module bulk/progress
 */

import { question } from "../dialog.js";
import { h, replace } from "../dom.js";
import { whileBusy } from "../form.js";
import { formatCount, formatNumber, formatMoment } from "../format.js";
import { messageErrorWords, problemWords, waitingReasonWords } from "../words.js";
import { summarize } from "./counts.js";

/** How often it is asked until when the rest goes out, while some wait. */
const ASK_EVERY_MS = 5_000;
const FAILED_STATUSES = ["failed", "undelivered"];
const LISTED_FAILURES = 50;

/**
 * @typedef {object} Batch As `GET /v1/batches/{id}` answers.
 * @property {string} batch_id
 * @property {{ id: string, name: string }} manager
 * @property {string} created_at
 * @property {number} recipients
 * @property {number} rejected
 * @property {number} messages
 * @property {Record<string, number>} counts
 * @property {string | null} canceled_at
 * @property {{ name: string } | null} canceled_by
 * @property {string | null} [finish_at]
 * @property {string | null} [held_by]
 */

/** A batch as it is and as it becomes, in `element`. */
export class BatchCard {
  #context;
  /** @type {Batch} */
  #batch;
  #failures;

  /**
   * @param {{ store: import("../store.js").Store }} context
   * @param {Batch} batch
   * @param {AbortSignal} signal Until then it is live.
   */
  constructor(context, batch, signal) {
    this.#context = context;
    this.#batch = batch;
    this.#failures = new FailureList(context, batch.batch_id);
    const title = `${formatMoment(batch.created_at)}, ${batch.manager.name}`;
    this.bar = h("div", { class: "progress", role: "progressbar", "aria-label": `Progress of ${title}` });
    this.bar.setAttribute("aria-valuemin", "0");
    this.words = h("p", { class: "progress-words" });
    this.rest = h("p", { class: "quiet" });
    this.stop = h(
      "button",
      { type: "button", class: "small", onclick: () => this.#cancel() },
      "Stop what is not sent…",
    );
    this.element = h(
      "article",
      { class: "batch" },
      h("h3", null, title),
      this.bar,
      this.words,
      this.rest,
      this.#failures.element,
      this.stop,
    );
    context.store.addEventListener("batch", (event) => this.#take(event.detail), { signal });
    this.#show();
    this.#askForRest();
    const asking = setInterval(() => this.#askForRest(), ASK_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(asking));
  }

  /** Neither a list nor the feed says what holds the rest up and until when it goes out. */
  #askForRest() {
    if (summarize(this.#batch).waiting > 0) this.#context.store.batch(this.#batch.batch_id).catch(() => {});
  }

  /** @param {Batch} batch */
  #take(batch) {
    if (batch.batch_id !== this.#batch.batch_id) return;
    this.#batch = batch;
    this.#show();
  }

  #show() {
    const batch = this.#batch;
    const sum = summarize(batch);
    this.bar.setAttribute("aria-valuemax", String(sum.all));
    this.bar.setAttribute("aria-valuenow", String(sum.all - sum.waiting));
    this.bar.setAttribute("aria-valuetext", sum.words);
    replace(
      this.bar,
      sum.parts.map(({ look, share }) => {
        const part = h("span", { class: `part ${look}` });
        part.style.width = `${share * 100}%`;
        return part;
      }),
    );
    this.words.textContent = sum.words;
    this.rest.textContent = this.#restInWords(sum);
    this.rest.hidden = this.rest.textContent === "";
    this.stop.hidden = sum.unsent === 0 || batch.canceled_at !== null;
    this.#failures.show(sum.failed);
  }

  #restInWords(sum) {
    const { canceled_at, canceled_by, finish_at, held_by, rejected } = this.#batch;
    const stopped =
      canceled_at && `${canceled_by?.name ?? "Somebody"} stopped it (${formatMoment(canceled_at)}).`;
    const none = rejected > 0 && `${formatCount(rejected, "recipient")} got nothing.`;
    const held = sum.waiting > 0 && held_by && `${waitingReasonWords(held_by)}.`;
    const isAhead = finish_at && new Date(finish_at) > new Date();
    const finish = sum.waiting > 0 && isAhead && `The last one goes out at about ${formatMoment(finish_at)}.`;
    return [stopped, none, held, finish].filter(Boolean).join(" ");
  }

  async #cancel() {
    const { unsent } = summarize(this.#batch);
    const answer = await question({
      title: "Stop this send?",
      content: [
        h(
          "p",
          null,
          `About ${formatCount(unsent, "message is", "messages are")} not sent yet and will not be.`,
        ),
        h("p", null, "What the carrier has already goes on."),
      ],
      action: "Stop it",
      cancel: "Let it go on",
    });
    if (!answer) return;
    try {
      await whileBusy(this.stop, "Stopping…", () => this.#context.store.cancelBatch(this.#batch.batch_id));
    } catch (problem) {
      this.rest.textContent = problemWords(problem);
      this.rest.hidden = false;
    }
  }
}

/** Who did not get the message, and why. Asked when it is opened. */
class FailureList {
  #context;
  #batchId;
  #count = 0;
  #shownCount = -1;

  constructor(context, batchId) {
    this.#context = context;
    this.#batchId = batchId;
    this.summary = h("summary");
    this.list = h("ul");
    this.element = h(
      "details",
      { class: "rejections", hidden: true, ontoggle: () => this.#load() },
      this.summary,
      this.list,
    );
  }

  /** @param {number} count */
  show(count) {
    this.#count = count;
    this.element.hidden = count === 0;
    this.summary.textContent = `${formatCount(count, "message")} did not arrive`;
    void this.#load();
  }

  async #load() {
    if (!this.element.open || this.#shownCount === this.#count) return;
    this.#shownCount = this.#count;
    const path = `/v1/batches/${encodeURIComponent(this.#batchId)}/messages`;
    const ask = (status) => this.#context.store.client.get(path, { status, limit: LISTED_FAILURES });
    try {
      const pages = await Promise.all(FAILED_STATUSES.map(ask));
      replace(
        this.list,
        pages.flatMap((page) => page.items).map((message) => this.#buildRow(message)),
        pages.some((page) => page.next_cursor !== null) && h("li", { class: "quiet" }, "and more"),
      );
    } catch (problem) {
      this.#shownCount = -1;
      replace(this.list, h("li", null, problemWords(problem)));
    }
  }

  #buildRow({ conversation_id, to, error }) {
    const people = this.#context.store.conversation(conversation_id)?.people ?? [];
    const name = people.map((person) => person.name).join(", ") || formatNumber(to);
    return h(
      "li",
      null,
      h("a", { href: `#/messages/${conversation_id}` }, name),
      " – ",
      messageErrorWords(error),
    );
  }
}
