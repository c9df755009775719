/**
 * Puts the console together: who is signed in, the client with their token, the store on top of it, and the frame that
 * shows it.
 *
 * @module main
 */

import { Client } from "./client.js";
import { note } from "./dialog.js";
import { h, replace } from "./dom.js";
import { loadConfiguration, signIn } from "./session.js";
import { makeSkipLink, openShell } from "./shell.js";
import { Store } from "./store.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));

makeSkipLink();
window.addEventListener("error", (event) => sayThatItFailed(event.error));
window.addEventListener("unhandledrejection", (event) => sayThatItFailed(event.reason));
run().catch((error) => offerAgain("The console cannot start.", error));

async function run() {
  const configuration = await loadConfiguration();
  const session = await signIn(configuration, main);
  const store = new Store(new Client({ token: session.token, onUnauthorized: renew }));
  store.manager = session.manager;
  replace(main);
  const shell = openShell(store, session, configuration.phones_url);
  let hasEnded = false;

  async function renew() {
    const renewed = await session.renew().catch(() => false);
    if (!renewed) end();
    return renewed;
  }

  function end() {
    if (hasEnded) return;
    hasEnded = true;
    store.stop();
    shell.close();
    const why = session.signOut ? "The gateway does not know your token any more." : "Your sign-in has expired.";
    offerAgain("You are signed out.", why, session.signOut);
  }

  try {
    await store.start();
  } catch (error) {
    if (hasEnded) return;
    shell.close();
    throw error;
  }
}

/**
 * What nobody expected. The browser's own console has the details.
 *
 * @param {Error | null | undefined} error
 */
function sayThatItFailed(error) {
  // What was given up on purpose did not fail, and browsers report things that are no errors.
  if (error && error.name !== "AbortError") note("Something did not work. Try it again.", { isError: true });
}

/**
 * Says why there is nothing to see, and starts again on demand.
 *
 * @param {string} title
 * @param {Error | string} why
 * @param {(() => void) | null} [again]
 */
function offerAgain(title, why, again) {
  const onclick = again ?? (() => location.reload());
  replace(
    main,
    h(
      "section",
      { class: "empty", role: "alert" },
      h("h1", null, title),
      h("p", { class: "quiet" }, typeof why === "string" ? why : why.message),
      h("button", { type: "button", class: "primary", onclick }, again ? "Sign in again" : "Try again"),
    ),
  );
}
