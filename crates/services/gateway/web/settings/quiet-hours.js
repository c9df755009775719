/**
 * Quiet hours: when texts to many wait.
 *
 * @module settings/quiet-hours
 */

import { note } from "../dialog.js";
import { h } from "../dom.js";
import { field, problemLine, showErrors, showProblem, whileBusy } from "../form.js";
import { formatClock } from "../format.js";
import { problemWords } from "../words.js";

const SUGGESTED = { from: "21:00", until: "08:00" };

/**
 * @param {import("./page.js").Context} context
 * @param {AbortSignal} signal Until then it is live.
 * @returns {HTMLElement}
 */
export function quietHoursSection(context, signal) {
  const { store } = context;
  const state = h("p", { role: "status" });
  const form = store.manager.role === "admin" ? quietHoursForm(context) : null;
  const show = () => {
    const hours = store.settings.quiet_hours;
    state.textContent = hours
      ? `Texts to many wait from ${inWords(hours.from)} until ${inWords(hours.until)}.`
      : "They are off: texts to many go out at any time.";
    form?.show(hours);
  };
  store.addEventListener("settings", show, { signal });
  show();
  return h(
    "section",
    { class: "card", "aria-labelledby": "settings-quiet-hours" },
    h("h2", { id: "settings-quiet-hours" }, "Quiet Hours"),
    h(
      "p",
      { class: "quiet" },
      "They are counted in the time of each recipient's area code. Answers to one person never wait for them.",
    ),
    state,
    form?.element,
  );
}

/** `21:00` as `9:00 PM`. */
function inWords(time) {
  const [hour, minute] = time.split(":").map(Number);
  return formatClock(new Date(2000, 0, 1, hour, minute));
}

/** @param {import("./page.js").Context} context */
function quietHoursForm({ store }) {
  const from = field({ label: "From", input: h("input", { type: "time", required: true }) });
  const until = field({ label: "Until", input: h("input", { type: "time", required: true }) });
  const line = problemLine();
  const save = h("button", { type: "submit", class: "primary" }, "Save quiet hours");
  const turnOff = h(
    "button",
    { type: "button", onclick: () => finish(turnOff, "Turning off…", off) },
    "Turn off",
  );
  let shown = "";

  const off = async () => {
    const settings = await store.client.delete("/v1/settings/quiet-hours");
    shown = "";
    store.putSettings(settings);
    note("Quiet hours are off.");
  };
  const on = async () => {
    const hours = { from: from.input.value, until: until.input.value };
    store.putSettings(await store.client.put("/v1/settings/quiet-hours", hours));
    note("Quiet hours are saved.");
  };
  const finish = async (button, label, work) => {
    line.set(null);
    try {
      await whileBusy(button, label, work);
    } catch (problem) {
      showProblem(problemWords(problem), problem, { from, until }, line);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const missing = (each) => (each.input.value === "" ? "Give a time of day." : null);
    if (
      !showErrors([
        [from, missing(from)],
        [until, missing(until)],
      ])
    )
      void finish(save, "Saving…", on);
  };

  return {
    element: h(
      "form",
      { class: "form", noValidate: true, onsubmit: submit },
      h("div", { class: "cluster fields" }, from.element, until.element),
      line.element,
      h("div", { class: "cluster" }, save, turnOff),
    ),
    show(hours) {
      turnOff.hidden = hours === null;
      const { from: start, until: end } = hours ?? SUGGESTED;
      // What is being typed stays until the settings really change.
      if (shown === `${start}-${end}`) return;
      shown = `${start}-${end}`;
      from.input.value = start;
      until.input.value = end;
      showErrors([
        [from, null],
        [until, null],
      ]);
    },
  };
}
