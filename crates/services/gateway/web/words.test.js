import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import {
  TABLES,
  callWords,
  consentWords,
  eventWords,
  messageErrorWords,
  notSendableWords,
  problemWords,
  rejectionWords,
  statusWords,
  waitingWords,
} from "./words.js";

const SOURCES = new URL("../src/", import.meta.url);
const DOMAIN = new URL("../../../libs/domain/src/", import.meta.url);
const NUMBERS = new URL("../../numbers/src/", import.meta.url);
/** Whoever makes refusals that the API answers with. */
const REFUSING = ["../src/", "../../conversations/src/", "../../numbers/src/", "../../../libs/chassis/src/"].map(
  (folder) => new URL(folder, import.meta.url),
);

const NOW = new Date("2026-03-02T15:00:00");

/** What descriptions of refusals name beside codes. */
const NO_CODES = new Set(["last_seen_seq", "retry_after_s", "next_change_allowed_at", "send_at"]);
/** Mistakes of programs: nobody sees them, and the API's own sentence says more. */
const FOR_PROGRAMMERS = new Set([
  "body_unreadable",
  "brand_invalid",
  "campaign_invalid",
  "idempotency_key_reused",
  "invalid_idempotency_key",
  "invalid_json",
  "invalid_last_event_id",
  "invalid_recipient",
  "invalid_value",
  "license_id_invalid",
  "line_too_long",
  "missing_field",
  "out_of_range",
  "repeated_parameter",
  "unknown_field",
  "unknown_kind",
  "unknown_parameter",
  "unknown_status",
  "unsupported_media_type",
]);

const read = (file, base = SOURCES) => readFileSync(new URL(file, base), "utf8");
const between = (text, from, to) => text.slice(text.indexOf(from), text.indexOf(to, text.indexOf(from)));
const quoted = (text) => [...text.matchAll(/`([a-z_]+)`/g)].map(([, word]) => word);
const codes = (text) => quoted(text).filter((word) => word.includes("_") && !NO_CODES.has(word));
const strings = (text, before) =>
  [...text.matchAll(new RegExp(`${before} "([a-z_]+)"`, "g"))].map(([, word]) => word);

/** The comment of a field in a view. */
function comment(file, struct, field) {
  const body = between(read(file), `struct ${struct} {`, "\n}");
  const lines = body.slice(0, body.search(new RegExp(`\\n    (pub\\([a-z]+\\) )?${field}:`))).split("\n");
  const start = lines.findLastIndex((line) => !/^\s*(\/\/\/|#\[)/.test(line));
  return lines.slice(start + 1).join("\n");
}

/** What the description of the API says of refusals. */
function described() {
  const files = readdirSync(new URL("http/", SOURCES)).map((name) => read(`http/${name}`));
  const descriptions = files.flatMap((text) => [
    ...text.matchAll(/status = [45]\d\d, description = "((?:[^"\\]|\\[^])*)"/g),
  ]);
  return descriptions.flatMap(([, text]) => codes(text));
}

/** The codes of the refusals that the services make. */
function made() {
  const files = REFUSING.flatMap((folder) =>
    readdirSync(folder, { recursive: true })
      .filter((name) => name.endsWith(".rs") && !name.includes("tests"))
      .map((name) => read(name, folder).split("#[cfg(test)]")[0]),
  );
  const made = /(?:Fault|Self)::(?:(?:invalid|new)\(\s*(?:[^",]|"[^"]*")+,|(?!invalid|new)[a-z_]+\()\s*"([a-z_]+)",/g;
  return files.flatMap((text) => [...text.matchAll(made)].map(([, code]) => code));
}

/** The codes of what was typed, and of what comes of the purchase of a number. */
function ofValues() {
  const files = ["phone.rs", "area_code.rs", "text.rs", "opt_out.rs"];
  return files.flatMap((file) => strings(read(file, DOMAIN), "=>")).concat(
    strings(read("model/setback.rs", NUMBERS), "=>"),
  );
}

function hasAll(table, words, least) {
  assert.ok(words.length >= least, `the source was read: ${words}`);
  assert.deepEqual(
    words.filter((word) => !Object.hasOwn(TABLES[table], word)),
    [],
    `${table} lacks words`,
  );
}

test("every code of the API has its words", () => {
  hasAll("STATUS", strings(read("status.rs", DOMAIN), "="), 9);
  hasAll("WAITING", codes(read("views/waiting.rs")).concat("pace", "scheduled"), 9);
  hasAll(
    "MESSAGE_ERROR",
    codes(comment("views/conversations.rs", "MessageError", "code")).concat("filtered", "expired"),
    12,
  );
  hasAll("NOT_SENDABLE", codes(comment("views/conversations.rs", "Conversation", "reason")), 3);
  hasAll("REJECTION", codes(comment("views/recipients.rs", "Rejected", "code")), 9);
  hasAll("SCHEDULED_STATUS", quoted(comment("views/scheduled.rs", "ScheduledSend", "status")), 3);
  hasAll("CALL_RESULT", strings(read("call.rs", DOMAIN), "="), 4);
  hasAll("PROVISIONING", quoted(comment("views/settings.rs", "Provisioning", "step")), 2);
  hasAll(
    "MEDIUM_STATE",
    ["pending", "stored", "failed"].filter((state) =>
      comment("views/media.rs", "Media", "state").includes(state),
    ),
    3,
  );
});

test("every line of a conversation has its words, whoever it is from", () => {
  const text = read("opt_out.rs", DOMAIN);
  const sources = strings(between(text, "ConsentSource", "\n}"), "=").filter((word) => !word.includes("_"));
  const kinds = strings(text, "=").filter((word) => word.includes("_"));
  hasAll("CONSENT_SOURCE", sources, 3);
  hasAll("EVENT", kinds, 3);
  for (const kind of kinds) {
    assert.deepEqual(Object.keys(TABLES.EVENT[kind]).sort(), [...sources].sort(), kind);
  }
});

test("every refusal that a person can meet has its words, and no words are of a refusal that nobody makes", () => {
  const forPeople = (words) => words.filter((code) => !FOR_PROGRAMMERS.has(code));
  hasAll("PROBLEM", forPeople(described()), 30);
  hasAll("PROBLEM", forPeople(made()), 40);
  hasAll("PROBLEM", ofValues(), 24);
  const known = new Set([...described(), ...made(), ...ofValues()]);
  const unknown = [...Object.keys(TABLES.PROBLEM), ...FOR_PROGRAMMERS].filter((code) => !known.has(code));
  assert.deepEqual(unknown, []);
});

test("a code of the future is shown by the API's sentence, and else by its own words", () => {
  assert.equal(messageErrorWords({ code: "eaten_by_dog", detail: "A dog ate it." }), "A dog ate it.");
  assert.equal(rejectionWords({ code: "eaten_by_dog" }), "Eaten by dog");
  assert.equal(statusWords("eaten_by_dog"), "Eaten by dog");
  assert.equal(notSendableWords("eaten_by_dog"), "Nothing can be sent here: eaten by dog.");
  assert.equal(waitingWords({ reason: "eaten_by_dog", until: null }), "Eaten by dog");
  assert.equal(problemWords({ code: "eaten_by_dog", detail: "A dog ate it." }), "A dog ate it.");
  assert.equal(statusWords("constructor"), "Constructor", "what every object has is no code");
});

test("what waits says until when, unless that is over", () => {
  const waiting = { reason: "pace", until: new Date("2026-03-02T15:05:00").toISOString() };
  assert.equal(waitingWords(waiting, NOW), "Waits for its turn, until about 3:05 PM");
  assert.equal(waitingWords(waiting, new Date("2026-03-02T15:06:00")), "Waits for its turn");
});

test("a refused change of the number says when it is allowed", () => {
  const allowed = new Date("2026-04-02T15:00:00").toISOString();
  const problem = { code: "change_limit_reached", document: { next_change_allowed_at: allowed } };
  assert.equal(
    problemWords(problem, NOW),
    "The number can be changed once in a month. It is allowed again from Apr 2, 3:00 PM.",
  );
});

test("what was never answered is no mistake of anybody", () => {
  const error = Object.assign(new Error("x"), { name: "NetworkError" });
  assert.equal(problemWords(error), "There is no connection right now.");
  assert.equal(problemWords(new Error("x")), "Something went wrong on our side.");
});

test("who said that no texts are wanted, and how", () => {
  const changed_at = new Date("2026-03-02T14:00:00").toISOString();
  const manager = { name: "Mia Manager" };
  const noted = { opted_out: true, source: "manager", manager, reason: "On the phone.", changed_at };
  assert.equal(
    consentWords(noted, NOW),
    "No texts are wanted. Mia Manager noted it, 2:00 PM: “On the phone.”",
  );
  const texted = { opted_out: true, source: "keyword", manager: null, reason: null, changed_at };
  assert.equal(consentWords(texted, NOW), "No texts are wanted. The person texted STOP, 2:00 PM.");
  assert.equal(
    eventWords({ kind: "help_requested", source: "keyword", manager: null, reason: null }),
    "HELP came from this phone",
  );
});

test("a call says when it came and how long the two talked", () => {
  const started_at = new Date("2026-03-02T15:05:00").toISOString();
  assert.equal(
    callWords({ started_at, result: "answered", duration_s: 75 }),
    "Called at 3:05 PM, talked 1 min 15 s",
  );
  assert.equal(
    callWords({ started_at, result: "no_answer", duration_s: null }),
    "Called at 3:05 PM, nobody answered",
  );
  assert.equal(callWords({ started_at, result: null, duration_s: null }), "Called at 3:05 PM");
});
