/**
 * Who uses the console, and the token that says so.
 *
 * In development one chooses from a list, and each tab keeps its own choice: two windows can be two managers. Elsewhere the
 * page that embeds the console gives the token, and a new one when the old one has expired. Tokens of other pages are not
 * listened to. A token is kept in memory only.
 *
 * @module session
 */

import { h, replace } from "./dom.js";
import { tabStorage } from "./tab-storage.js";

/**
 * @typedef {object} Manager
 * @property {string} id
 * @property {string} name
 * @property {"manager" | "admin"} role
 * @property {string} license_id
 */

/**
 * @typedef {object} SignIn Somebody to choose.
 * @property {string} label
 * @property {string} name
 * @property {string} role
 * @property {string} license_id
 * @property {string} token
 */

/**
 * @typedef {object} Configuration
 * @property {SignIn[]} sign_in Empty: nobody is chosen here.
 * @property {string | null} phones_url
 * @property {string[]} embedding_origins Pages that may give a token.
 */

/**
 * @typedef {object} Session
 * @property {Manager} manager
 * @property {() => string} token The one to use now.
 * @property {() => Promise<boolean>} renew Asks for another token after this one was refused. False: there is none.
 * @property {SignIn[]} others Who else can be chosen.
 * @property {((other: SignIn) => void) | null} change Becomes somebody else. Null: that is up to the embedding page.
 * @property {(() => void) | null} signOut
 */

/** Under this name a tab remembers who was chosen in it. */
const CHOSEN = "leaseline.manager";

/** How long the embedding page may take to give a token. */
const TOKEN_WAIT_MS = 30_000;

/**
 * What the gateway says about signing in.
 *
 * @returns {Promise<Configuration>}
 */
export async function loadConfiguration() {
  const response = await fetch("./config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`The console's configuration cannot be read (${response.status}).`);
  return response.json();
}

/**
 * Signs in: by choice where there is somebody to choose, else by the embedding page.
 *
 * @param {Configuration} configuration
 * @param {HTMLElement} place Where the choice, or why there is none, is shown.
 * @returns {Promise<Session>} Pending as long as nobody is signed in.
 */
export async function signIn(configuration, place) {
  if (configuration.sign_in.length > 0) return signInByChoice(configuration.sign_in, place);
  return signInByEmbedding(configuration.embedding_origins, place);
}

/**
 * What a token says of its bearer. It is the gateway that checks whether it is true.
 *
 * @param {string} token
 * @returns {Manager}
 */
export function readClaims(token) {
  const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(payload), (character) => character.codePointAt(0) ?? 0);
  const { sub, name, role, license_id } = JSON.parse(new TextDecoder().decode(bytes));
  return { id: sub, name, role, license_id };
}

/**
 * @param {SignIn[]} list
 * @param {HTMLElement} place
 * @returns {Promise<Session>}
 */
async function signInByChoice(list, place) {
  const remembered = tabStorage().getItem(CHOSEN);
  let chosen = list.find((each) => nameChoice(each) === remembered) ?? (await choose(list, place));
  remember(chosen);
  return {
    manager: readClaims(chosen.token),
    token: () => chosen.token,
    // The gateway may have new tokens for the same people, for example after a restart of the development stack.
    async renew() {
      const fresh = (await loadConfiguration()).sign_in.find((each) => nameChoice(each) === nameChoice(chosen));
      const isNew = fresh !== undefined && fresh.token !== chosen.token;
      if (isNew) chosen = fresh;
      return isNew;
    },
    others: list.filter((each) => each !== chosen),
    change(other) {
      remember(other);
      startAgain();
    },
    signOut() {
      tabStorage().removeItem(CHOSEN);
      startAgain();
    },
  };
}

/** @param {SignIn} choice */
function remember(choice) {
  tabStorage().setItem(CHOSEN, nameChoice(choice));
}

/** @param {SignIn} choice */
function nameChoice(choice) {
  return `${choice.license_id}/${readClaims(choice.token).id}`;
}

/** What was open belongs to who was signed in. */
function startAgain() {
  history.replaceState(null, "", location.pathname);
  location.reload();
}

/**
 * @param {SignIn[]} list
 * @param {HTMLElement} place
 * @returns {Promise<SignIn>}
 */
function choose(list, place) {
  return new Promise((resolve) => {
    const button = (/** @type {SignIn} */ each) =>
      h(
        "button",
        { type: "button", onclick: () => resolve(each) },
        h("strong", null, each.name),
        h("span", { class: "quiet" }, each.label.replace(`${each.name}, `, "")),
        h("span", { class: "chip" }, each.role === "admin" ? "Admin" : "Manager"),
      );
    replace(
      place,
      h(
        "section",
        { class: "sign-in", "aria-labelledby": "sign-in-title" },
        h("h1", { id: "sign-in-title" }, "Who are you?"),
        h("p", { class: "quiet" }, "This is a development sign-in. Each window keeps its own: open a second one to be somebody else."),
        h("ul", null, list.map((each) => h("li", null, button(each)))),
      ),
    );
  });
}

/**
 * @param {string[]} origins
 * @param {HTMLElement} place
 * @returns {Promise<Session>}
 */
async function signInByEmbedding(origins, place) {
  if (window.parent === window || origins.length === 0) {
    replace(place, h("p", { class: "empty" }, "Open the console from your company's own pages: they sign you in."));
    return new Promise(() => {});
  }
  replace(place, h("p", { class: "empty", role: "status" }, "Signing in …"));
  /** @type {string | undefined} */
  let token;
  /** @type {Set<(token: string) => void>} */
  const waiting = new Set();
  window.addEventListener("message", (event) => {
    if (event.source !== window.parent || !origins.includes(event.origin)) return;
    if (event.data?.type !== "leaseline.token" || typeof event.data.token !== "string") return;
    const isSomebodyElse = token !== undefined && !isSamePerson(token, event.data.token);
    if (isSomebodyElse) return startAgain();
    token = event.data.token;
    for (const resolve of waiting) resolve(token);
    waiting.clear();
  });
  const next = () => new Promise((resolve) => waiting.add(resolve));
  // Neither message says anything that another page may not know.
  const tell = (/** @type {string} */ type) => window.parent.postMessage({ type }, "*");
  tell("leaseline.ready");
  await next();
  return {
    manager: readClaims(token),
    token: () => token,
    async renew() {
      const arrived = next().then(() => true);
      tell("leaseline.token-expired");
      return Promise.race([arrived, new Promise((resolve) => setTimeout(resolve, TOKEN_WAIT_MS, false))]);
    },
    others: [],
    change: null,
    signOut: null,
  };
}

/**
 * @param {string} one
 * @param {string} other
 */
function isSamePerson(one, other) {
  const [a, b] = [readClaims(one), readClaims(other)];
  return a.id === b.id && a.license_id === b.license_id && a.role === b.role;
}
