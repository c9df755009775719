/**
 * Numbers, times and calls in words.
 *
 * @module words
 */

/**
 * @param {string} number `+14155550123`
 * @returns {string} `(415) 555-0123`; any other text as it is.
 */
export function formatPhone(number) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return parts ? `(${parts[1]}) ${parts[2]}-${parts[3]}` : number;
}

/**
 * @param {string} typed A North American number in any usual way of writing.
 * @returns {string | null} `+14155550123`, or null for what is no such number.
 */
export function readPhone(typed) {
  const digits = typed.replace(/[\s().+-]/g, "");
  const national = /^1?([2-9]\d{2}[2-9]\d{6})$/.exec(digits);
  return national && `+1${national[1]}`;
}

/**
 * @param {Date} at
 * @param {Date} [now]
 * @returns {string} `3:05 PM` today, else `Mar 2, 3:05 PM`.
 */
export function formatTime(at, now = new Date()) {
  const time = { hour: "numeric", minute: "2-digit" };
  const isToday = at.toDateString() === now.toDateString();
  return at.toLocaleString("en-US", isToday ? time : { month: "short", day: "numeric", ...time });
}

/** What the one who is called does, by outcome. */
const ENDS = {
  answered: "It is answered: you talk.",
  no_answer: "Nobody answers.",
  busy: "It is busy.",
  canceled: "You hang up before anybody answers.",
};

/**
 * What the caller hears, and what rings.
 *
 * @param {import("./control.js").Call} call
 * @param {keyof typeof ENDS} outcome
 * @returns {string[]} One sentence for each thing that happened.
 */
export function describeCall(call, outcome) {
  if (call.response === null) return ["Nobody tells the carrier what to do with the call. You hear an error."];
  return [
    call.said && `You hear: “${call.said}”`,
    call.dialed && describeRinging(call),
    call.dialed && ENDS[outcome],
    call.said_after && `Then you hear: “${call.said_after}”`,
    !call.said && !call.dialed && "You hear nothing. The call ends.",
    call.result_status && call.result_status !== 200 && `The end of the call was told and answered with ${call.result_status}.`,
  ].filter((line) => typeof line === "string");
}

/** @param {import("./control.js").Call} call */
function describeRinging({ dialed, caller_id: callerId, timeout }) {
  const patience = timeout ? `, for ${timeout} seconds at most` : "";
  return `${formatPhone(dialed)} rings${patience}. It shows a call from ${formatPhone(callerId)}.`;
}
