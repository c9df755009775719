/**
 * How numbers, times, names and counts are written. Times are those of the reader's own clock; a moment is a `Date`, or a
 * time of the API as it came (`"2026-03-02T15:00:00Z"`).
 *
 * @module format
 */

/** @typedef {Date | string} Moment */

const LOCALE = "en-US";
const clock = new Intl.DateTimeFormat(LOCALE, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(LOCALE, { weekday: "short" });
const shortDate = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric" });
const shortDateOfYear = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric", year: "numeric" });
const longDate = new Intl.DateTimeFormat(LOCALE, { weekday: "long", month: "long", day: "numeric" });
const longDateOfYear = new Intl.DateTimeFormat(LOCALE, { weekday: "long", month: "long", day: "numeric", year: "numeric" });
const counting = new Intl.NumberFormat(LOCALE);

const KINDS = { tenant: "Tenant", lead: "Lead", vendor: "Vendor", owner: "Owner" };

/**
 * A North American number as people write it: `+14155550101` reads `(415) 555-0101`. Anything else stays as it is.
 *
 * @param {string | null | undefined} number E.164.
 * @returns {string}
 */
export function formatNumber(number) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number ?? "");
  return parts ? `(${parts[1]}) ${parts[2]}-${parts[3]}` : (number ?? "");
}

/**
 * When something was, as short as it stays clear: `3:05 PM` today, `Tue 3:05 PM` within a week either way, `Mar 2` in
 * this year, and else `Mar 2, 2025`.
 *
 * @param {Moment} moment
 * @param {Date} [now]
 * @returns {string}
 */
export function formatTime(moment, now = new Date()) {
  const date = toDate(moment);
  const away = Math.abs(daysBetween(date, now));
  if (away === 0) return formatClock(date);
  if (away < 7) return `${weekday.format(date)} ${formatClock(date)}`;
  return formatDate(date, now);
}

/**
 * A time for a sentence: `3:05 PM` today, else with its day (`Tue 3:05 PM`, `Mar 2, 3:05 PM`, `Mar 2, 2025, 3:05 PM`).
 *
 * @param {Moment} moment
 * @param {Date} [now]
 * @returns {string}
 */
export function formatMoment(moment, now = new Date()) {
  const date = toDate(moment);
  if (Math.abs(daysBetween(date, now)) < 7) return formatTime(date, now);
  return `${formatDate(date, now)}, ${formatClock(date)}`;
}

/**
 * The time of the day: `3:05 PM`.
 *
 * @param {Moment} moment
 * @returns {string}
 */
export function formatClock(moment) {
  // Newer browsers put a narrow space before PM.
  return clock.format(toDate(moment)).replace(/\s/g, " ");
}

/**
 * The day alone: `Mar 2`, and `Mar 2, 2025` when it is not of this year.
 *
 * @param {Moment} moment
 * @param {Date} [now]
 * @returns {string}
 */
export function formatDate(moment, now = new Date()) {
  const date = toDate(moment);
  return (date.getFullYear() === now.getFullYear() ? shortDate : shortDateOfYear).format(date);
}

/**
 * A day as a heading: `Today`, `Yesterday`, `Monday, March 2`, `Sunday, March 2, 2025`.
 *
 * @param {Moment} moment
 * @param {Date} [now]
 * @returns {string}
 */
export function formatDay(moment, now = new Date()) {
  const date = toDate(moment);
  const near = { "-1": "Yesterday", 0: "Today", 1: "Tomorrow" }[daysBetween(date, now)];
  return near ?? (date.getFullYear() === now.getFullYear() ? longDate : longDateOfYear).format(date);
}

/**
 * Whether two moments are of the same day.
 *
 * @param {Moment} one
 * @param {Moment} other
 * @returns {boolean}
 */
export function isSameDay(one, other) {
  return daysBetween(toDate(one), toDate(other)) === 0;
}

/**
 * How long something takes, in its two largest parts: `45 s`, `1 min 15 s`, `2 h 5 min`, `3 days 4 h`.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function formatDuration(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  // Rounded to the smaller of the two: 3 h 59 min 59 s is 4 h.
  if (rest >= 3600) rest = Math.round(rest / 60) * 60;
  if (rest >= 86_400) rest = Math.round(rest / 3600) * 3600;
  const days = Math.floor(rest / 86_400);
  const parts = [
    days > 0 && formatCount(days, "day"),
    Math.floor(rest / 3600) % 24 > 0 && `${Math.floor(rest / 3600) % 24} h`,
    Math.floor(rest / 60) % 60 > 0 && `${Math.floor(rest / 60) % 60} min`,
    rest % 60 > 0 && `${rest % 60} s`,
  ].filter(Boolean);
  return parts.slice(0, 2).join(" ") || "0 s";
}

/**
 * How many: `1 message`, `1,204 messages`, `2 people`.
 *
 * @param {number} count
 * @param {string} one
 * @param {string} [many] Where an s is not enough.
 * @returns {string}
 */
export function formatCount(count, one, many = `${one}s`) {
  return `${counting.format(count)} ${count === 1 ? one : many}`;
}

/**
 * A number with its thousands: `1,204`.
 *
 * @param {number} value
 * @returns {string}
 */
export function formatInteger(value) {
  return counting.format(value);
}

/**
 * The size of a file: `180 KB`, `1.2 MB`.
 *
 * @param {number} bytes
 * @returns {string}
 */
export function formatSize(bytes) {
  if (bytes < 1000) return formatCount(bytes, "byte");
  const megabytes = bytes / 1_000_000;
  if (megabytes < 1) return `${Math.max(1, Math.round(bytes / 1000))} KB`;
  return `${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB`;
}

/**
 * Two letters that stand for a name: `Ana Torres` is `AT`, `Ana` is `A`, and nobody is `#`.
 *
 * @param {string | null | undefined} name
 * @returns {string}
 */
export function initials(name) {
  const words = (name ?? "").match(/[\p{L}\p{N}][^\s]*/gu) ?? [];
  const chosen = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return chosen.map((word) => [...word][0].toUpperCase()).join("") || "#";
}

/**
 * The first word of a name: `Mia`.
 *
 * @param {string | null | undefined} name
 * @returns {string}
 */
export function firstName(name) {
  return (name ?? "").trim().split(/\s+/)[0];
}

/**
 * A kind of person in words.
 *
 * @param {string} kind `tenant`, `lead`, `vendor` or `owner`.
 * @returns {string}
 */
export function formatKind(kind) {
  return KINDS[kind] ?? kind;
}

/**
 * Several as people say them: `Ana`, `Ana and Ben`, `Ana, Ben and Chloe`.
 *
 * @param {string[]} words
 * @returns {string}
 */
export function formatList(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

/**
 * Who is at the other end of a conversation: the names, and the number when it is nobody's.
 *
 * @param {{ people: { name: string }[], number: string }} conversation
 * @returns {string}
 */
export function formatPeople(conversation) {
  return formatList(conversation.people.map((person) => person.name)) || formatNumber(conversation.number);
}

/**
 * @param {Moment} moment
 * @returns {Date}
 */
function toDate(moment) {
  return moment instanceof Date ? moment : new Date(moment);
}

/**
 * How many days of the calendar the first is after the second.
 *
 * @param {Date} date
 * @param {Date} other
 * @returns {number}
 */
function daysBetween(date, other) {
  const day = (/** @type {Date} */ each) => Date.UTC(each.getFullYear(), each.getMonth(), each.getDate()) / 86_400_000;
  return day(date) - day(other);
}
