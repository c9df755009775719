/**
 * The page on which one is the phones: the list of phones, and the one that is chosen.
 * The address names it: `#+14155550123`.
 *
 * @module phones
 */

import { Refused, listNumbers, listPhones, makeCall, readPhoneScreen, sendText, setAirplane, watch } from "./control.js";
import { describeCall, formatPhone, formatTime, readPhone } from "./words.js";

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
const find = (id) => /** @type {T} */ (document.getElementById(id));

const page = {
  connection: find("connection"),
  other: /** @type {HTMLFormElement} */ (find("other")),
  otherNumber: /** @type {HTMLInputElement} */ (find("other-number")),
  otherProblem: find("other-problem"),
  phones: find("phones"),
  noPhones: find("no-phones"),
  nobody: find("nobody"),
  phone: find("phone"),
  number: find("phone-number"),
  airplane: /** @type {HTMLButtonElement} */ (find("airplane")),
  waiting: find("waiting"),
  log: find("log"),
  texts: find("texts"),
  to: /** @type {HTMLSelectElement} */ (find("to")),
  write: /** @type {HTMLFormElement} */ (find("write")),
  body: /** @type {HTMLTextAreaElement} */ (find("body")),
  stop: /** @type {HTMLButtonElement} */ (find("stop")),
  picture: /** @type {HTMLInputElement} */ (find("picture")),
  pictures: find("pictures"),
  call: /** @type {HTMLFormElement} */ (find("call")),
  outcome: /** @type {HTMLSelectElement} */ (find("outcome")),
  withheld: /** @type {HTMLInputElement} */ (find("withheld")),
  heard: find("heard"),
  problem: find("problem"),
};

/** The chosen phone. @type {string | null} */
let phone = null;
/** Its number was typed in: one is about to write. */
let isAskedFor = false;
/** The messages number that was chosen by hand, by phone. @type {Map<string, string>} */
const chosen = new Map();
/** Pictures of the text that is being written, as `data:` addresses. @type {string[]} */
let pictures = [];

/** The newest text is in view, and stays in view. */
let isAtEnd = true;

// What is there

/** A look at everything is under way, and whether another one is due after it. */
let looking = false;
let lookAgain = false;

/** Shows everything as it is now. However often it is asked for, one look at a time is under way. */
async function refresh() {
  if (looking) {
    lookAgain = true;
    return;
  }
  looking = true;
  do {
    lookAgain = false;
    await look().catch(() => showConnection(false));
  } while (lookAgain);
  looking = false;
}

async function look() {
  const asked = phone;
  const screen = asked ? readPhoneScreen(asked) : null;
  const [phones, numbers, shown] = await Promise.all([listPhones(), listNumbers(), screen]);
  showConnection(true);
  showPhones(phones);
  if (!shown || asked !== phone) return;
  showAirplane(shown.airplane);
  showTexts(shown.messages);
  showNumbers(numbers, shown.messages);
  if (!page.phone.hidden) return;
  page.phone.hidden = false;
  scrollToEnd();
  if (isAskedFor) page.body.focus();
  isAskedFor = false;
}

/** @param {boolean} isConnected */
function showConnection(isConnected) {
  page.connection.hidden = isConnected;
}

/** @param {import("./control.js").Phone[]} phones */
function showPhones(phones) {
  page.noPhones.hidden = phones.length > 0;
  const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.phone;
  page.phones.replaceChildren(...phones.map(makePhoneItem));
  if (focused) page.phones.querySelector(`[data-phone="${CSS.escape(focused)}"]`)?.focus();
}

/** @param {import("./control.js").Phone} listed */
function makePhoneItem(listed) {
  const item = clone("phone-item");
  const link = item.querySelector("a");
  link.href = `#${listed.phone}`;
  link.dataset.phone = listed.phone;
  if (listed.phone === phone) link.setAttribute("aria-current", "true");
  link.querySelector("strong").textContent = formatPhone(listed.phone) + (listed.airplane ? " ✈" : "");
  link.querySelector("span").textContent = listed.last_body || "Picture";
  return item;
}

/** @param {import("./control.js").Airplane} airplane */
function showAirplane({ on, waiting }) {
  page.airplane.setAttribute("aria-checked", String(on));
  page.waiting.hidden = !on;
  const texts = waiting === 1 ? "1 text waits" : `${waiting} texts wait`;
  const sentence = `This phone is away. ${waiting ? texts : "What is sent to it waits"} until airplane mode ends.`;
  if (page.waiting.textContent !== sentence) page.waiting.textContent = sentence;
  for (const form of [page.write, page.call]) {
    for (const control of form.querySelectorAll("button, textarea, input, select")) control.disabled = on;
  }
}

/** @param {import("./control.js").Text[]} texts */
function showTexts(texts) {
  const ids = texts.map((text) => text.message_sid);
  const shown = [...page.texts.children].map((item) => /** @type {HTMLElement} */ (item).dataset.id);
  const isLonger = shown.every((id, at) => id === ids[at]);
  if (isLonger && shown.length === ids.length) return;
  if (!isLonger) page.texts.replaceChildren();
  page.texts.append(...texts.slice(isLonger ? shown.length : 0).map(makeTextItem));
  if (isAtEnd) scrollToEnd();
}

function scrollToEnd() {
  page.log.scrollTop = page.log.scrollHeight;
}

/** @param {import("./control.js").Text} text */
function makeTextItem(text) {
  const item = clone("text-item");
  item.dataset.id = text.message_sid;
  item.classList.add(text.direction);
  const [body, line] = item.querySelectorAll("p");
  body.textContent = text.body;
  body.hidden = text.body === "";
  line.before(...text.media_urls.map(makeMedium));
  const other = `${text.direction === "written" ? "to" : "from"} ${formatPhone(text.number)}`;
  line.textContent = `${other} · ${formatTime(new Date(text.at))}`;
  return item;
}

/**
 * A picture that is kept here shows; what is elsewhere is a link, if it is one.
 *
 * @param {string} url
 */
function makeMedium(url) {
  if (url.startsWith("/_files/")) {
    return Object.assign(document.createElement("img"), { src: url, alt: "Picture", loading: "lazy" });
  }
  const line = document.createElement("p");
  const link = Object.assign(document.createElement("a"), { textContent: "Attachment" });
  if (/^https?:/.test(url)) Object.assign(link, { href: url, target: "_blank", rel: "noreferrer" });
  line.append(link);
  return line;
}

/**
 * The messages numbers one can write to. Chosen is what was chosen by hand, else the one that wrote last.
 *
 * @param {{ carrier: string, phone_number: string, friendly_name: string | null }[]} numbers
 * @param {import("./control.js").Text[]} texts
 */
function showNumbers(numbers, texts) {
  const listed = numbers.map((number) => number.phone_number);
  const last = (direction) => texts.findLast((text) => text.direction === direction)?.number;
  const wanted = [chosen.get(phone), last("received"), last("written"), listed[0]];
  const selected = wanted.find((number) => listed.includes(number)) ?? "";
  const labels = numbers.map(({ phone_number: number, carrier, friendly_name: name }) =>
    [formatPhone(number), name || carrier].filter(Boolean).join(" · "),
  );
  if (numbers.length === 0) [listed[0], labels[0]] = ["", "No messages number is owned yet"];
  const isSame = [...page.to.options].map((option) => option.text).join("\n") === labels.join("\n");
  if (!isSame) page.to.replaceChildren(...labels.map((label, at) => new Option(label, listed[at])));
  page.to.value = selected;
}

// What one does

/** Opens the phone that the address names. */
function open() {
  const named = readPhone(decodeURIComponent(location.hash.slice(1)));
  if (named === phone) return;
  phone = named;
  page.phone.hidden = true;
  page.nobody.hidden = phone !== null;
  page.number.textContent = phone && formatPhone(phone);
  for (const part of [page.texts, page.to, page.heard]) part.replaceChildren();
  page.problem.textContent = "";
  setPictures([]);
  page.body.value = "";
  refresh();
}

/**
 * Does something for the chosen phone; says why, when it is refused.
 *
 * @param {(phone: string) => Promise<void>} action
 */
async function attempt(action) {
  page.problem.textContent = "";
  try {
    await action(/** @type {string} */ (phone));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    page.problem.textContent = error.message;
  }
  refresh();
}

/** @param {string} body */
async function write(body) {
  await attempt(async (phone) => {
    const answer = await sendText(phone, { to: page.to.value, body, media_urls: pictures });
    if (page.body.value === body) page.body.value = "";
    setPictures([]);
    if (answer.webhook_status !== 200) {
      page.problem.textContent = "The text left the phone, and the owner of the number did not take it.";
    }
  });
}

/** @param {string[]} addresses */
function setPictures(addresses) {
  pictures = addresses;
  page.pictures.replaceChildren(...pictures.map(makePictureItem));
}

/** @param {string} address */
function makePictureItem(address) {
  const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
  remove.addEventListener("click", () => setPictures(pictures.filter((other) => other !== address)));
  const picture = Object.assign(document.createElement("img"), { src: address, alt: "Picture to send" });
  const item = document.createElement("li");
  item.append(picture, remove);
  return item;
}

/**
 * @param {File} file
 * @returns {Promise<string>} The file as a `data:` address.
 */
function readFile(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(/** @type {string} */ (reader.result)));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function clone(id) {
  const template = /** @type {HTMLTemplateElement} */ (find(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild.cloneNode(true));
}

page.other.addEventListener("submit", (event) => {
  event.preventDefault();
  const number = readPhone(page.otherNumber.value);
  page.otherProblem.textContent = number ? "" : "This is no North American number. Write it as (415) 555-0123.";
  if (!number) return;
  page.other.reset();
  isAskedFor = number !== phone;
  location.hash = number;
});
page.airplane.addEventListener("click", () => {
  const isOn = page.airplane.getAttribute("aria-checked") === "true";
  attempt((phone) => setAirplane(phone, !isOn));
});
page.to.addEventListener("change", () => chosen.set(/** @type {string} */ (phone), page.to.value));
page.write.addEventListener("submit", (event) => {
  event.preventDefault();
  if (page.body.value || pictures.length) write(page.body.value);
});
page.body.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.write.requestSubmit();
});
page.stop.addEventListener("click", () => write("STOP"));
page.picture.addEventListener("change", async () => {
  const files = [...(page.picture.files ?? [])];
  page.picture.value = "";
  setPictures([...pictures, ...(await Promise.all(files.map(readFile)))]);
});
page.call.addEventListener("submit", (event) => {
  event.preventDefault();
  const outcome = /** @type {any} */ (page.outcome.value);
  page.heard.replaceChildren();
  attempt(async (caller) => {
    const call = await makeCall(caller, { to: page.to.value, outcome, withheld: page.withheld.checked });
    if (caller !== phone) return;
    const lines = describeCall(call, outcome);
    page.heard.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  });
});
page.log.addEventListener("scroll", () => {
  isAtEnd = page.log.scrollHeight - page.log.scrollTop - page.log.clientHeight < 48;
});
new ResizeObserver(() => isAtEnd && scrollToEnd()).observe(page.log);
addEventListener("hashchange", open);
open();
watch({ onChange: refresh, onState: showConnection });
