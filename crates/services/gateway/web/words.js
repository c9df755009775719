/**
 * What the API says in codes, in words. One table and one function for each kind of code.
 *
 * A code that is not in its table is shown by what the API says of it, and else by its own words: `new_code`
 * reads "New code".
 *
 * @module words
 */

import { formatClock, formatDuration, formatMoment } from "./format.js";

/** @typedef {{ reason: string, until: string | null }} Waiting */
/** @typedef {{ code: string, detail?: string }} Coded */

const STATUS = {
  received: "Received",
  queued: "Waiting",
  sending: "Sending",
  sent: "Sent",
  delivered: "Delivered",
  undelivered: "Not delivered",
  failed: "Not sent",
  canceled: "Canceled",
  unknown: "Not known yet whether it arrived",
};

const SCHEDULED_STATUS = {
  waiting: "Waiting for its time",
  sent: "Sent",
  canceled: "Canceled",
};

const WAITING = {
  pace: "Waits for its turn",
  scheduled: "Waits for its time",
  quiet_hours: "Waits for the morning: it is night where the recipient is",
  daily_limit: "Waits: the number of texts for today is reached",
  being_confirmed: "We are finding out whether it arrived",
  carrier_throttled: "Waits: the carrier takes nothing right now",
  carrier_unreachable: "Waits: the carrier does not answer right now",
  no_number: "Waits for your messages number",
  number_not_ready: "Waits: the carrier does not take texts from your number yet",
};

const MESSAGE_ERROR = {
  cannot_receive_sms: "This number cannot get texts. It is a landline or the like.",
  invalid_recipient: "This number does not exist.",
  recipient_opted_out: "The recipient has asked to get no more texts.",
  not_reachable: "The phone was off or out of reach.",
  filtered: "A carrier held it back because of what it says.",
  region_not_allowed: "Texts to this region are not allowed.",
  number_not_ready: "The carrier does not take texts from your number yet.",
  account_problem: "Texting is interrupted on our side. We have been told.",
  message_too_long: "It is longer than the carrier takes.",
  rejected_by_carrier: "The carrier did not take it.",
  expired: "It could not be handed to the carrier in time.",
  unreadable: "It was lost on our side before it went out.",
  not_confirmed: "Nobody could find out whether it arrived.",
};

const NOT_SENDABLE = {
  number_no_longer_tied: "This number no longer belongs to the people of this conversation. You can read it.",
  cannot_receive_sms:
    "This number cannot get texts: it is a landline or the like. A text from it lifts this.",
  recipient_opted_out: "No texts are wanted at this number.",
};

const REJECTION = {
  person_not_found: "There is no such person any more.",
  conversation_not_found: "This conversation has been deleted.",
  person_has_no_phone: "This person has no phone number.",
  number_no_longer_tied: "The number of this conversation belongs to nobody in it any more.",
  recipient_opted_out: "No texts are wanted at this number.",
  cannot_receive_sms: "This number cannot get texts: it is a landline or the like.",
  conversation_moved_on: "Something new came in this conversation that you had not seen.",
  duplicate_recipient: "Somebody else on the list has the same number and gets it.",
  body_too_long: "The text is too long once the names are filled in.",
};

const PROBLEM = {
  unauthenticated: "You are signed out. Sign in again.",
  forbidden: "Only an admin may do this.",
  license_missing: "It is not said for which license.",
  license_not_found: "There is no such license.",
  not_found: "This is not here.",
  invalid_id: "This is not here.",
  method_not_allowed: "This cannot be done here.",
  service_unavailable: "This does not work right now. Try again in a moment.",
  internal: "Something went wrong on our side.",

  message_not_found: "This message is gone.",
  conversation_not_found: "This conversation is gone.",
  person_not_found: "There is no such person.",
  person_has_no_phone: "This person has no phone number.",
  number_no_longer_tied: "This number no longer belongs to the people of this conversation.",
  recipient_opted_out: "No texts are wanted at this number.",
  cannot_receive_sms: "This number cannot get texts: it is a landline or the like.",
  conversation_moved_on: "Something new came while you were writing.",
  company_name_unknown: "The text names the company, and its name is not known yet.",
  message_may_arrive: "This message has arrived, or may still arrive.",
  no_recipient_accepted: "Nobody on the list can get it.",
  invalid_recipients: "Choose 1 to 10,000 recipients.",
  body_empty: "Write something, or attach a file.",
  body_too_long: "The text is too long.",
  body_contains_nul: "The text holds a character that cannot be sent.",
  body_too_large: "This is too much at once.",
  unknown_merge_field:
    "There is no such field. Known are the person's name and first name, and the company's name.",
  send_at_out_of_range: "Choose a time from now on, at most 60 days ahead.",
  too_many: "These are too many.",
  too_long: "This is too long.",
  invalid_url: "Give an address that begins with https://.",

  batch_not_found: "There is no such send.",
  scheduled_send_not_found: "This scheduled text is gone.",
  already_sent: "It has been sent already.",
  already_canceled: "It has been canceled already.",

  media_not_found: "This file is not here. It could not be fetched.",
  media_pending: "This file is on its way.",
  media_unavailable: "This file cannot be read right now.",

  reason_empty: "Say how the person told you.",
  reason_too_long: "This is too long.",
  reason_contains_nul: "The text holds a character that cannot be kept.",
  invalid_query: "This cannot be looked for.",
  missing_parameter: "Say what to look for.",
  invalid_cursor: "The list has changed. Open it again.",

  unmatched_not_found: "This message is gone: it was given to a person, or it was older than 30 days.",
  number_is_tied: "This number belongs to a person. Only unknown numbers can be blocked.",

  number_taken: "This number was sold to somebody else meanwhile. Your number stays. Generate another one.",
  candidate_expired: "This number was not kept any longer. Your number stays. Generate again.",
  candidate_not_found: "This number is not kept any more. Generate again.",
  change_limit_reached: "The number can be changed once in a month.",
  change_in_progress: "Another change of the number is under way.",
  generate_limit_reached: "These were many numbers in a short time.",
  no_numbers_available: "There is no number to be had right now.",

  carrier_throttled: "The carrier takes nothing right now. Try again in a moment.",
  carrier_unreachable: "The carrier does not answer right now. Try again in a moment.",
  carrier_outcome_unknown: "The carrier did not say whether it worked. We are finding out.",
  carrier_account_problem: "Our account at the carrier does not work right now. We have been told.",
  carrier_refused: "The carrier refused this.",
  carrier_not_configured: "This carrier is not set up.",
  carrier_unknown: "There is no carrier of this name.",

  area_code_not_three_digits: "An area code has three digits.",
  area_code_unknown: "There is no such area code.",
  area_code_not_united_states: "This area code is not in the United States.",
  area_code_toll_free: "This is a toll-free code, not an area code.",
  area_code_premium: "This is a code of paid services, not an area code.",
  area_code_non_geographic: "This code belongs to no area.",

  phone_not_north_american: "Only numbers of North America can be used.",
  phone_wrong_length: "A number has ten digits.",
  phone_unexpected_character: "This does not look like a phone number.",
  phone_unknown_area_code: "The area code of this number does not exist.",
  phone_invalid_exchange: "This number cannot exist: look at the three digits after the area code.",
  phone_premium: "This is the number of a paid service.",
  phone_fictional: "This is a number for films and examples. Nobody has it.",
  company_phone_is_a_messages_number:
    "Calls cannot be forwarded to a messages number. Give the company's own phone.",
  name_empty: "Give a name.",
  name_too_long: "This name is too long.",
  name_control_character: "The name holds a character that does not show.",
  quiet_hours_invalid: "Give two different times of day.",
};

/** What fetch says when there was no answer at all. */
const NO_ANSWER = "There is no connection right now.";

const CONSENT_SOURCE = {
  keyword: "by a text",
  manager: "by a manager",
  carrier: "by the carrier's own list",
};

const EVENT = {
  opted_out: {
    keyword: () => "STOP came from this phone: no more texts are sent to it",
    manager: (name) => `${name} noted that no texts are wanted`,
    carrier: () => "The carrier says that no texts are wanted",
  },
  opted_in: {
    keyword: () => "START came from this phone: texts are welcome again",
    manager: (name) => `${name} noted that texts are welcome again`,
    carrier: () => "The carrier says that texts are welcome again",
  },
  help_requested: {
    keyword: () => "HELP came from this phone",
    manager: (name) => `${name} noted that help is wanted`,
    carrier: () => "The carrier says that help is wanted",
  },
};

const CALL_RESULT = {
  answered: "talked",
  no_answer: "nobody answered",
  busy: "the line was busy",
  failed: "the call did not come through",
};

const PROVISIONING = {
  searching: "Looking for a number",
  buying: "Getting the number",
};

const MEDIUM_STATE = {
  pending: "A file is on its way",
  stored: "",
  failed: "A file could not be fetched",
};

/** The tables, for the test that compares them with the API's own lists. */
export const TABLES = {
  STATUS,
  SCHEDULED_STATUS,
  WAITING,
  MESSAGE_ERROR,
  NOT_SENDABLE,
  REJECTION,
  PROBLEM,
  CONSENT_SOURCE,
  EVENT,
  CALL_RESULT,
  PROVISIONING,
  MEDIUM_STATE,
};

/**
 * The status of a message.
 *
 * @param {string} status
 * @returns {string}
 */
export function statusWords(status) {
  return find(STATUS, status) ?? inWords(status);
}

/**
 * The status of a scheduled send.
 *
 * @param {string} status
 * @returns {string}
 */
export function scheduledStatusWords(status) {
  return find(SCHEDULED_STATUS, status) ?? inWords(status);
}

/**
 * Why something waits, and until about when.
 *
 * @param {Waiting} waiting
 * @param {Date} [now]
 * @returns {string}
 */
export function waitingWords({ reason, until }, now = new Date()) {
  const why = waitingReasonWords(reason);
  if (!until || new Date(until) <= now) return why;
  return `${why}, until about ${formatMoment(until, now)}`;
}

/**
 * Why something waits, as in `waiting.reason` and `held_by`.
 *
 * @param {string} reason
 * @returns {string}
 */
export function waitingReasonWords(reason) {
  return find(WAITING, reason) ?? inWords(reason);
}

/**
 * Why a message did not arrive: its `error`.
 *
 * @param {Coded} error
 * @returns {string}
 */
export function messageErrorWords({ code, detail }) {
  return find(MESSAGE_ERROR, code) ?? (detail || inWords(code));
}

/**
 * Why nothing can be sent into a conversation: its `reason`.
 *
 * @param {string} reason
 * @returns {string}
 */
export function notSendableWords(reason) {
  return find(NOT_SENDABLE, reason) ?? `Nothing can be sent here: ${inWords(reason).toLowerCase()}.`;
}

/**
 * Why a recipient gets nothing: one of `rejected`.
 *
 * @param {Coded} rejection
 * @returns {string}
 */
export function rejectionWords({ code, detail }) {
  return find(REJECTION, code) ?? (detail || inWords(code));
}

/**
 * Why the API refused something, or that it could not be asked: whatever a call has thrown.
 *
 * @param {any} error A `Problem` or `NetworkError` of client.js, or any other error.
 * @param {Date} [now]
 * @returns {string}
 */
export function problemWords(error, now = new Date()) {
  if (error?.name === "NetworkError") return NO_ANSWER;
  if (!error?.code) return PROBLEM.internal;
  const words = find(PROBLEM, error.code) ?? (error.detail || inWords(error.code));
  const when = whenAllowed(error, now);
  return when ? `${words} ${when}` : words;
}

/** When it may be tried again, if the refusal says so. */
function whenAllowed({ code, document, retryAfterMs }, now) {
  const allowedAt = document?.next_change_allowed_at;
  if (allowedAt) return `It is allowed again from ${formatMoment(allowedAt, now)}.`;
  const isLimited = code === "generate_limit_reached" && retryAfterMs;
  return isLimited ? `Try again in ${formatDuration(retryAfterMs / 1000)}.` : null;
}

/**
 * A line of a conversation that is no message: STOP, START, HELP.
 *
 * @param {{ kind: string, source: string, manager: { name: string } | null, reason: string | null }} event
 * @returns {string}
 */
export function eventWords({ kind, source, manager, reason }) {
  const words = find(find(EVENT, kind) ?? {}, source)?.(manager?.name ?? "A manager") ?? inWords(kind);
  return reason ? `${words}: “${reason}”` : words;
}

/**
 * A call to the messages number: "Called at 3:05 PM, talked 1 min 15 s".
 *
 * @param {{ started_at: string, result: string | null, duration_s: number | null }} call
 * @returns {string}
 */
export function callWords({ started_at, result, duration_s }) {
  const called = `Called at ${formatClock(started_at)}`;
  const came = callResultWords(result, duration_s);
  return came ? `${called}, ${came}` : called;
}

/**
 * What came of a call. Empty while nobody has said.
 *
 * @param {string | null} result
 * @param {number | null} durationS
 * @returns {string}
 */
export function callResultWords(result, durationS) {
  if (!result) return "";
  const words = find(CALL_RESULT, result) ?? inWords(result).toLowerCase();
  return result === "answered" && durationS ? `${words} ${formatDuration(durationS)}` : words;
}

/**
 * Who said last whether texts are wanted, and when.
 *
 * @param {{ opted_out: boolean, source: string, manager: { name: string } | null, reason: string | null,
 *   changed_at: string }} consent
 * @param {Date} [now]
 * @returns {string} "No texts are wanted. Mia Manager noted it on Mar 2: “Asked on the phone.”"
 */
export function consentWords({ opted_out, source, manager, reason, changed_at }, now = new Date()) {
  const when = formatMoment(changed_at, now);
  const wanted = opted_out ? "No texts are wanted." : "Texts are welcome again.";
  if (source === "manager") {
    return `${wanted} ${manager?.name ?? "A manager"} noted it, ${when}${reason ? `: “${reason}”` : "."}`;
  }
  if (source === "keyword") return `${wanted} The person texted ${opted_out ? "STOP" : "START"}, ${when}.`;
  return `${wanted} It was said ${find(CONSENT_SOURCE, source) ?? inWords(source).toLowerCase()}, ${when}.`;
}

/**
 * Where the purchase of a number stands: `provisioning.step`.
 *
 * @param {string} step
 * @returns {string}
 */
export function provisioningWords(step) {
  return find(PROVISIONING, step) ?? inWords(step);
}

/**
 * What is to say of a file that does not show: its `state`. Empty when it is there.
 *
 * @param {string | null} state
 * @returns {string}
 */
export function mediumStateWords(state) {
  return state ? (find(MEDIUM_STATE, state) ?? inWords(state)) : "";
}

/** What a table has under a code, and nothing that every object has. */
function find(table, code) {
  return Object.hasOwn(table, code) ? table[code] : undefined;
}

/** `number_taken` reads "Number taken". */
function inWords(code) {
  const words = String(code).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
