/**
 * Website & Misc: the messages number, and its menu.
 *
 * @module settings/number
 */

import { menuButton, note } from "../dialog.js";
import { h, replace } from "../dom.js";
import { formatDate, formatMoment, formatNumber } from "../format.js";
import { problemWords, provisioningWords } from "../words.js";
import { openGenerate } from "./generate.js";

const CARRIERS = { twilio: "Twilio", telnyx: "Telnyx" };
/** While a number is being bought, nothing but the settings tell how far it is. */
const ASK_EVERY_MS = 3_000;

/**
 * @param {import("./page.js").Context} context
 * @param {AbortSignal} signal Until then it is live.
 * @returns {HTMLElement}
 */
export function numberSection(context, signal) {
  const { store } = context;
  const facts = h("div", { "aria-live": "polite" });
  const menu = menuButton("What can be done with the messages number", () => menuItems(context));
  let number = store.settings.messages_number?.number;
  const show = () => {
    const { settings } = store;
    replaceIfChanged(facts, numberFacts(settings));
    menu.hidden = menuItems(context).length === 0;
    if (settings.messages_number?.number === number) return;
    number = settings.messages_number?.number;
    // The feed tells the number alone; from when on it may be changed again stands in the settings.
    void store.loadSettings().catch(() => {});
  };
  store.addEventListener("settings", show, { signal });
  show();
  watchPurchase(store, signal);
  return h(
    "section",
    { class: "card", "aria-labelledby": "settings-number" },
    h("h2", { id: "settings-number" }, "Website & Misc"),
    h("div", { class: "cluster card-head" }, h("h3", null, "Messages Phone Number"), menu),
    facts,
  );
}

/** @param {import("./page.js").Context} context */
function menuItems({ store }) {
  const { settings, manager } = store;
  const items = [];
  if (manager.role === "admin") items.push(generateItem(store));
  if (settings.messages_number) {
    items.push({ label: "Copy the number", onchoose: () => copy(settings.messages_number.number) });
  }
  return items;
}

/** @param {import("../store.js").Store} store */
function generateItem(store) {
  const { settings } = store;
  const when = findNextChange(settings);
  const reason = when
    ? `from ${formatMoment(when)} on`
    : settings.provisioning
      ? "a number is on its way"
      : null;
  return {
    label: reason ? `Generate a number… (${reason})` : "Generate a number…",
    disabled: reason !== null,
    onchoose: () => openGenerate(store),
  };
}

/**
 * From when on the number may be changed. Null: now.
 *
 * @param {{ next_change_allowed_at: string | null }} settings
 * @returns {Date | null}
 */
function findNextChange({ next_change_allowed_at }) {
  const when = next_change_allowed_at === null ? null : new Date(next_change_allowed_at);
  return when !== null && when > new Date() ? when : null;
}

/** @param {any} settings */
function numberFacts(settings) {
  const { messages_number, provisioning, last_change_error } = settings;
  const nextChange = findNextChange(settings);
  return [
    messages_number
      ? numberLines(messages_number)
      : h("p", null, "There is no number yet. You get one by itself."),
    provisioning && purchaseLine(provisioning, messages_number !== null),
    last_change_error &&
      h(
        "p",
        { class: "banner warning" },
        `The change of ${formatMoment(last_change_error.occurred_at)} came to nothing; the number stayed. `,
        problemWords(last_change_error),
      ),
    messages_number &&
      h(
        "p",
        { class: "quiet" },
        nextChange
          ? `It can be changed again from ${formatMoment(nextChange)} on.`
          : "It can be changed once a month.",
      ),
  ];
}

function numberLines({ number, carrier, assigned_at }) {
  return h(
    "dl",
    { class: "facts" },
    h("div", null, h("dt", null, "Number"), h("dd", { class: "big-number" }, formatNumber(number))),
    h("div", null, h("dt", null, "Since"), h("dd", null, formatDate(assigned_at))),
    h("div", null, h("dt", null, "Carrier"), h("dd", null, CARRIERS[carrier] ?? carrier)),
  );
}

/** Where the purchase of a number stands. */
function purchaseLine({ step, attempts, last_error, next_attempt_at }, isChange) {
  const what = isChange ? "The number is being changed" : "A number is on its way";
  const failed =
    attempts > 0 && ` It did not work yet${last_error ? `: ${problemWords({ code: last_error })}` : "."}`;
  const next = attempts > 0 && ` The next try is at about ${formatMoment(next_attempt_at)}.`;
  return h("p", { class: "banner" }, `${what}: ${provisioningWords(step).toLowerCase()}.`, failed, next);
}

/** What is read out is what has changed, not all at each event. */
function replaceIfChanged(element, children) {
  const next = h("div", null, children);
  if (next.textContent !== element.textContent) replace(element, ...next.childNodes);
}

/**
 * Asks for the settings while a number is being bought.
 *
 * @param {import("../store.js").Store} store
 * @param {AbortSignal} signal
 */
function watchPurchase(store, signal) {
  let timer = 0;
  const ask = async () => {
    if (store.settings.provisioning) await store.loadSettings().catch(() => {});
    if (!signal.aborted) timer = setTimeout(ask, ASK_EVERY_MS);
  };
  timer = setTimeout(ask, ASK_EVERY_MS);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** @param {string} number */
async function copy(number) {
  try {
    await navigator.clipboard.writeText(formatNumber(number));
    note("The number is copied.");
  } catch {
    note("The browser does not let the page copy.", { isError: true });
  }
}
