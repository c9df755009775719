/**
 * Details: the company's name and phone.
 *
 * @module settings/company
 */

import { note } from "../dialog.js";
import { h, replace } from "../dom.js";
import { field, problemLine, showProblem, whileBusy } from "../form.js";
import { formatNumber } from "../format.js";
import { problemWords } from "../words.js";

const PHONE_HINT = "Calls to the messages number ring there. Without it, callers hear a short sentence.";

/**
 * @param {import("./page.js").Context} context
 * @param {AbortSignal} signal Until then it is live.
 * @returns {HTMLElement}
 */
export function companySection(context, signal) {
  const { store } = context;
  const part = store.manager.role === "admin" ? companyForm(context) : companyFacts();
  const show = () => {
    if (store.settings) part.show(store.settings);
  };
  store.addEventListener("settings", show, { signal });
  show();
  return h(
    "section",
    { class: "card", "aria-labelledby": "settings-details" },
    h("h2", { id: "settings-details" }, "Details"),
    part.element,
  );
}

/** For those who may not change it. */
function companyFacts() {
  const facts = h("dl", { class: "facts" });
  return {
    element: h("div", { class: "form" }, facts, h("p", { class: "quiet" }, PHONE_HINT)),
    show({ company_name, company_phone }) {
      replace(
        facts,
        h("div", null, h("dt", null, "Company name"), h("dd", null, company_name)),
        h("div", null, h("dt", null, "Company phone"), h("dd", null, formatNumber(company_phone) || "None")),
      );
    },
  };
}

/** @param {import("./page.js").Context} context */
function companyForm({ store }) {
  const name = field({
    label: "Company name",
    input: h("input", { type: "text", autocomplete: "organization", required: true }),
  });
  const phone = field({
    label: "Company phone",
    input: h("input", { type: "tel", autocomplete: "tel", placeholder: "(415) 555-2671" }),
    hint: PHONE_HINT,
  });
  const line = problemLine();
  const save = h("button", { type: "submit", class: "primary" }, "Save details");
  /** What the inputs show of the settings: what is not changed here follows what others change. */
  const shown = new Map([
    [name, ""],
    [phone, ""],
  ]);

  async function submit(event) {
    event.preventDefault();
    line.set(null);
    const company = {
      company_name: name.input.value.trim(),
      company_phone: phone.input.value.trim() || null,
    };
    try {
      const settings = await whileBusy(save, "Saving…", () =>
        store.client.put("/v1/settings/company", company),
      );
      if (settings === undefined) return;
      for (const each of shown.keys()) shown.set(each, each.input.value);
      store.putSettings(settings);
      note("The details are saved.");
    } catch (problem) {
      showProblem(problemWords(problem), problem, { company_name: name, company_phone: phone }, line);
    }
  }

  return {
    element: h(
      "form",
      { class: "form", noValidate: true, onsubmit: submit },
      name.element,
      phone.element,
      line.element,
      save,
    ),
    show({ company_name, company_phone }) {
      for (const [each, text] of [
        [name, company_name],
        [phone, formatNumber(company_phone)],
      ]) {
        if (each.input.value === shown.get(each)) each.input.value = text;
        shown.set(each, text);
      }
    },
  };
}
