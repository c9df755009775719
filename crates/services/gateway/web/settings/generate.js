/**
 * Another messages number: generate one, look at it, save it. Until it is saved nothing is bought, replaced or
 * counted.
 *
 * @module settings/generate
 */

import { note, openDialog } from "../dialog.js";
import { h, replace } from "../dom.js";
import { field, problemLine, showErrors, showProblem, whileBusy } from "../form.js";
import { formatCount, formatNumber } from "../format.js";
import { problemWords } from "../words.js";

const TICK_MS = 1_000;
const ASK_EVERY_MS = 2_000;
/** After these there is no use in saving the same candidate again. */
const SAVING_IS_OVER = ["number_taken", "candidate_expired", "candidate_not_found", "change_limit_reached"];
/** After these nobody knows whether it was saved. Saving the same candidate again is safe. */
const MAY_BE_SAVED = ["service_unavailable", "change_in_progress"];

/**
 * @typedef {{ candidate_id: string, number: string, area_code_matched: boolean, expires_at: string }} Candidate
 */

/**
 * @param {import("../store.js").Store} store
 */
export function openGenerate(store) {
  new GenerateDialog(store);
}

class GenerateDialog {
  #store;
  /** @type {Candidate | null} */
  #candidate = null;
  /** What was asked for when the candidate came. */
  #areaCode = "";
  #closing = new AbortController();
  #isGenerating = false;
  #isSaving = false;

  constructor(store) {
    this.#store = store;
    this.areaCode = field({
      label: "Area code (optional)",
      input: h("input", {
        type: "text",
        inputMode: "numeric",
        autocomplete: "off",
        maxLength: 3,
        class: "short",
      }),
      hint: "Three digits, for example 907. Without one you get any number of the United States.",
    });
    this.generate = h("button", { type: "submit", class: "primary" }, "Generate");
    this.result = h("div", { class: "candidate", role: "status" });
    this.countdown = h("p", { class: "quiet" });
    this.line = problemLine();
    this.cancel = h("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel");
    this.save = h(
      "button",
      { type: "button", class: "primary", hidden: true, onclick: () => this.#save() },
      "Save",
    );
    this.form = h(
      "form",
      { class: "form", noValidate: true, onsubmit: (event) => this.#generate(event) },
      this.areaCode.element,
      h("div", { class: "cluster" }, this.generate),
    );
    this.dialog = openDialog({
      title: "Generate a number",
      class: "generate",
      content: [
        h("p", null, "Your number stays until you save another one. It can be changed once a month."),
        this.form,
        this.result,
        this.countdown,
        this.line.element,
        h("footer", null, this.cancel, this.save),
      ],
    });
    this.areaCode.input.focus();
    const ticking = setInterval(() => this.#showTimeLeft(), TICK_MS);
    this.dialog.addEventListener("close", () => {
      clearInterval(ticking);
      this.#closing.abort();
      if (this.#isSaving) note("The number is being changed. The settings say when it is done.");
    });
  }

  async #generate(event) {
    event.preventDefault();
    if (this.#isGenerating || this.#isSaving) return;
    this.line.set(null);
    const areaCode = this.areaCode.input.value.trim();
    const wrong = areaCode === "" || /^\d{3}$/.test(areaCode) ? null : "An area code has three digits.";
    if (showErrors([[this.areaCode, wrong]])) return;
    this.#isGenerating = this.save.disabled = true;
    try {
      const input = areaCode === "" ? {} : { area_code: areaCode };
      const options = { signal: this.#closing.signal };
      const candidate = await whileBusy(this.generate, "Looking for a number…", () =>
        this.#store.client.post("/v1/number/candidates", input, options),
      );
      this.#areaCode = areaCode;
      this.#show(candidate);
      this.save.disabled = false;
      this.save.focus();
    } catch (problem) {
      if (!this.#closing.signal.aborted) {
        showProblem(problemWords(problem), problem, { area_code: this.areaCode }, this.line);
      }
    } finally {
      this.#isGenerating = this.save.disabled = false;
    }
  }

  /** @param {Candidate | null} candidate Null: there is none any more. */
  #show(candidate) {
    this.#candidate = candidate;
    this.generate.textContent = candidate ? "Generate again" : "Generate";
    this.generate.classList.toggle("primary", candidate === null);
    this.save.hidden = candidate === null;
    if (candidate === null) replace(this.result);
    else {
      const otherArea = this.#areaCode !== "" && !candidate.area_code_matched;
      replace(
        this.result,
        h("p", { class: "big-number" }, formatNumber(candidate.number)),
        otherArea &&
          h("p", null, `There is no number with area code ${this.#areaCode}. This one is from another area.`),
      );
    }
    this.#showTimeLeft();
  }

  /** By the reader's clock, which may be wrong: whether it is really over is answered when it is saved. */
  #showTimeLeft() {
    const candidate = this.#isSaving ? null : this.#candidate;
    const words = candidate === null ? "" : timeLeftWords(findSecondsLeft(candidate));
    if (words !== this.countdown.textContent) this.countdown.textContent = words;
  }

  async #save() {
    const candidate = this.#candidate;
    if (candidate === null || this.#isGenerating || this.#isSaving) return;
    this.line.set(null);
    this.#isSaving = true;
    this.#setGenerating(false);
    try {
      await whileBusy(this.save, "Saving…", () => this.#change(candidate));
      this.#isSaving = false;
      note(`Your messages number is ${formatNumber(candidate.number)} now.`);
      this.dialog.close();
    } catch (problem) {
      this.#isSaving = false;
      // Who has closed the dialog was told that it goes on, and that the settings say how it ends.
      if (problem.name === "AbortError") return;
      if (this.#closing.signal.aborted) note(problemWords(problem), { isError: true });
      if (SAVING_IS_OVER.includes(problem.code)) this.#show(null);
      this.line.set(problemWords(problem));
    } finally {
      this.#setGenerating(true);
      this.#showTimeLeft();
      if (this.#candidate === null) this.generate.focus();
    }
  }

  /**
   * Saves and follows the change to its end. What the carrier has not answered in time goes on by itself.
   *
   * @param {Candidate} candidate
   */
  async #change(candidate) {
    const errorBefore = this.#store.settings.last_change_error?.occurred_at;
    try {
      this.#store.putSettings(
        await this.#store.client.put("/v1/number", { candidate_id: candidate.candidate_id }),
      );
    } catch (problem) {
      const mayBeSaved = problem.name === "NetworkError" || MAY_BE_SAVED.includes(problem.code);
      if (!mayBeSaved) throw problem;
      await this.#store.loadSettings();
      if (!this.#isDone(candidate) && !this.#store.settings.provisioning) throw problem;
    }
    while (!this.#isDone(candidate)) {
      const { provisioning, last_change_error } = this.#store.settings;
      if (provisioning === null) {
        const isOfThis = last_change_error !== null && last_change_error.occurred_at !== errorBefore;
        throw isOfThis ? last_change_error : { code: "number_not_changed" };
      }
      await pause(ASK_EVERY_MS, this.#closing.signal);
      await this.#store.loadSettings().catch(() => {});
    }
  }

  /** @param {Candidate} candidate */
  #isDone(candidate) {
    return this.#store.settings.messages_number?.number === candidate.number;
  }

  /** @param {boolean} allowed */
  #setGenerating(allowed) {
    this.generate.disabled = !allowed;
    this.areaCode.input.disabled = !allowed;
    this.cancel.textContent = allowed ? "Cancel" : "Close";
  }
}

/** @param {Candidate} candidate */
function findSecondsLeft({ expires_at }) {
  return Math.ceil((new Date(expires_at).getTime() - Date.now()) / 1000);
}

/**
 * How long a candidate is still held: coarse first, exact at the end.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function timeLeftWords(seconds) {
  if (seconds <= 0) return "This number is no longer held for you. Generate again.";
  const left = seconds > 60 ? formatCount(Math.ceil(seconds / 60), "minute") : formatCount(seconds, "second");
  return `It is held for you for ${left}. Nothing is bought until you save.`;
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
