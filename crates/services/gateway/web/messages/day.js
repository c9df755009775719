/**
 * The turn of the day: what was today is yesterday then.
 *
 * @module messages/day
 */

const CHECK_MS = 60_000;

/**
 * Calls when a new day has begun, also after the machine has slept.
 *
 * @param {() => void} then
 * @param {AbortSignal} signal
 */
export function onNewDay(then, signal) {
  let today = new Date().toDateString();
  const check = () => {
    if (today === new Date().toDateString()) return;
    today = new Date().toDateString();
    then();
  };
  const timer = setInterval(check, CHECK_MS);
  document.addEventListener("visibilitychange", check, { signal });
  signal.addEventListener("abort", () => clearInterval(timer));
}
