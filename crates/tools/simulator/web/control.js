/**
 * The simulator's control API, as far as the page needs it.
 *
 * @module control
 */

/**
 * @typedef {object} Phone A phone that wrote or got something.
 * @property {string} phone
 * @property {boolean} airplane
 * @property {string} last_body What shows there at last.
 * @property {string} last_at
 */

/**
 * @typedef {object} Text What a phone shows.
 * @property {string} message_sid
 * @property {"written" | "received"} direction
 * @property {string} number The messages number at the other end.
 * @property {string} body
 * @property {string[]} media_urls
 * @property {string} at
 */

/** @typedef {{ on: boolean, waiting: number }} Airplane `waiting`: texts that arrive when it ends. */

/**
 * @typedef {object} Call What happened in a call; null where it did not.
 * @property {string | null} response
 * @property {string | null} said
 * @property {string | null} dialed
 * @property {string | null} caller_id
 * @property {number | null} timeout
 * @property {number | null} result_status
 * @property {string | null} said_after
 */

/** Why something was not done, in words. */
export class Refused extends Error {}

/** @returns {Promise<Phone[]>} Newest first. */
export async function listPhones() {
  return (await ask("GET", "phones")).phones;
}

/** @returns {Promise<{ carrier: string, phone_number: string, friendly_name: string | null }[]>} Newest first. */
export async function listNumbers() {
  return (await ask("GET", "numbers")).numbers;
}

/**
 * @param {string} phone
 * @returns {Promise<{ messages: Text[], airplane: Airplane }>} Oldest first.
 */
export function readPhoneScreen(phone) {
  return ask("GET", `phones/${encodeURIComponent(phone)}/messages`);
}

/**
 * @param {string} phone
 * @param {{ to: string, body: string, media_urls: string[] }} text
 * @returns {Promise<{ webhook_status: number | null }>} How the owner of the number answered the carrier.
 */
export function sendText(phone, text) {
  return ask("POST", `phones/${encodeURIComponent(phone)}/text`, text);
}

/**
 * @param {string} phone
 * @param {{ to: string, outcome: string, withheld: boolean }} call
 * @returns {Promise<Call>} When the call is over.
 */
export function makeCall(phone, call) {
  return ask("POST", `phones/${encodeURIComponent(phone)}/call`, call);
}

/**
 * @param {string} phone
 * @param {boolean} on
 */
export async function setAirplane(phone, on) {
  await ask(on ? "PUT" : "DELETE", `phones/${encodeURIComponent(phone)}/airplane`);
}

/**
 * Says at once, and after each change, that it is time to ask again.
 *
 * @param {{ onChange: () => void, onState: (isConnected: boolean) => void }} listeners
 */
export function watch({ onChange, onState }) {
  const events = new EventSource("/_sim/changes");
  events.addEventListener("changed", onChange);
  events.addEventListener("open", () => onState(true));
  events.addEventListener("error", () => {
    onState(false);
    // The browser tries again by itself, unless the answer was a refusal.
    if (events.readyState === EventSource.CLOSED) setTimeout(() => watch({ onChange, onState }), 2_000);
  });
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
async function ask(method, path, body) {
  const json = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`/_sim/${path}`, { method, ...json }).catch(() => {
    throw new Refused("The simulator does not answer.");
  });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Refused(answer?.detail ?? `The simulator answers ${response.status}.`);
  return answer;
}
