import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { readClaims, signIn } from "./session.js";

const APP = "https://app.example.com";

/** As the gateway's tokens are made; nobody checks the signature here. */
function makeToken(claims, signature = "s") {
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `e30.${payload}.${signature}`;
}

const mia = { sub: "mia", name: "Mía Manager 🏠", role: "manager", license_id: "demo" };
const adam = { sub: "adam", name: "Adam Admin", role: "admin", license_id: "demo" };

/** As much of a page as signing in needs. */
class Element {
  children = [];
  listeners = {};
  append(child) {
    this.children.push(child);
  }
  replaceChildren() {
    this.children = [];
  }
  setAttribute() {}
  addEventListener(event, listener) {
    this.listeners[event] = listener;
  }
  /** All elements in it. */
  all() {
    return this.children.flatMap((child) => (child instanceof Element ? [child, ...child.all()] : []));
  }
  get text() {
    return this.children.map((child) => (child instanceof Element ? child.text : child)).join("");
  }
}

let said, reloads, place, parent;

beforeEach(() => {
  said = [];
  reloads = 0;
  place = new Element();
  parent = { postMessage: (message) => said.push(message.type) };
  const kept = new Map();
  const window = Object.assign(new EventTarget(), { parent });
  const sessionStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  };
  const document = { createElement: (tag) => Object.assign(new Element(), { tag }) };
  const location = { pathname: "/console/", reload: () => (reloads += 1) };
  const history = { replaceState() {} };
  Object.assign(globalThis, { window, sessionStorage, document, location, history, Node: Element });
});

afterEach(() => {
  for (const name of ["window", "sessionStorage", "document", "location", "history", "Node"]) delete globalThis[name];
});

function post(data, { origin = APP, source = parent } = {}) {
  window.dispatchEvent(Object.assign(new Event("message"), { data, origin, source }));
}

/** What is not settled after all that can happen has happened. */
async function isPending(promise) {
  const pending = Symbol("pending");
  return (await Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 5, pending))])) === pending;
}

function embedded(origins = [APP]) {
  return signIn({ sign_in: [], phones_url: null, embedding_origins: origins }, place);
}

function choices(...claims) {
  return claims.map((each) => ({
    label: `${each.name}, Demo`,
    name: each.name,
    role: each.role,
    license_id: each.license_id,
    token: makeToken(each),
  }));
}

test("a token says who its bearer is, in every alphabet", () => {
  const { sub, ...rest } = mia;
  assert.deepEqual(readClaims(makeToken(mia)), { id: sub, ...rest });
  const long = { ...mia, name: "??>>~~ÿÿ" };
  assert.equal(readClaims(makeToken(long)).name, long.name);
});

test("the embedding page is asked for a token, and gives it", async () => {
  const session = embedded();
  assert.deepEqual(said, ["leaseline.ready"]);
  post({ type: "leaseline.token", token: makeToken(mia) });
  const { manager, token, signOut, change } = await session;
  assert.equal(manager.name, mia.name);
  assert.equal(token(), makeToken(mia));
  assert.deepEqual([signOut, change], [null, null]);
});

test("a token of another origin, another window or another shape is not taken", async () => {
  const session = embedded();
  const token = makeToken(mia);
  post({ type: "leaseline.token", token }, { origin: "https://app.example.com.evil.example" });
  post({ type: "leaseline.token", token }, { origin: "null" });
  post({ type: "leaseline.token", token }, { source: {} });
  post({ type: "something.else", token });
  post({ type: "leaseline.token", token: { toString: () => token } });
  post(null);
  assert.ok(await isPending(session));
});

test("nobody signs in where nobody may embed the console, or nobody does", async () => {
  const nowhere = embedded([]);
  post({ type: "leaseline.token", token: makeToken(mia) });
  assert.ok(await isPending(nowhere));
  window.parent = window;
  assert.ok(await isPending(embedded()));
  assert.deepEqual(said, []);
  assert.match(place.text, /Open the console from your company's own pages/);
});

test("a refused token is replaced by one that the embedding page gives", async () => {
  const opening = embedded();
  post({ type: "leaseline.token", token: makeToken(mia) });
  const session = await opening;
  const renewal = session.renew();
  assert.ok(await isPending(renewal));
  assert.deepEqual(said, ["leaseline.ready", "leaseline.token-expired"]);
  post({ type: "leaseline.token", token: makeToken(mia, "fresh") });
  assert.equal(await renewal, true);
  assert.equal(session.token(), makeToken(mia, "fresh"));
});

test("a token of somebody else starts the page again, and is not used in this one", async () => {
  const opening = embedded();
  post({ type: "leaseline.token", token: makeToken(mia) });
  const session = await opening;
  post({ type: "leaseline.token", token: makeToken({ ...mia, license_id: "other" }) });
  assert.equal(reloads, 1);
  assert.equal(session.token(), makeToken(mia));
});

test("whoever is chosen stays chosen in this tab until they sign out", async () => {
  const configuration = { sign_in: choices(mia, adam), phones_url: null, embedding_origins: [] };
  const opening = signIn(configuration, place);
  assert.ok(await isPending(opening));
  const buttons = place.all().filter((each) => each.tag === "button");
  assert.deepEqual(buttons.map((each) => each.text), [`${mia.name}DemoManager`, `${adam.name}DemoAdmin`]);
  buttons[1].listeners.click();
  assert.equal((await opening).manager.id, "adam");

  const again = await signIn(configuration, place);
  assert.equal(again.manager.role, "admin");
  assert.deepEqual(again.others.map((each) => each.name), [mia.name]);
  again.change(again.others[0]);
  const changed = await signIn(configuration, place);
  assert.deepEqual([changed.manager.id, reloads], ["mia", 1]);
  changed.signOut();
  assert.ok(await isPending(signIn(configuration, place)));
});

test("a refused choice is renewed only by another token for the same person", async () => {
  const configuration = { sign_in: choices(mia), phones_url: null, embedding_origins: [] };
  sessionStorage.setItem("leaseline.manager", "demo/mia");
  const session = await signIn(configuration, place);
  const original = globalThis.fetch;
  let answer = configuration;
  globalThis.fetch = async () => ({ ok: true, json: async () => answer });
  try {
    assert.equal(await session.renew(), false, "the same one");
    answer = { ...configuration, sign_in: choices(adam) };
    assert.equal(await session.renew(), false, "somebody else's");
    answer = { ...configuration, sign_in: [{ ...choices(mia)[0], token: makeToken(mia, "fresh") }] };
    assert.equal(await session.renew(), true);
    assert.equal(session.token(), makeToken(mia, "fresh"));
  } finally {
    globalThis.fetch = original;
  }
});

test("where the browser lets nothing be kept, a choice holds until the page is loaded again", async () => {
  Object.defineProperty(globalThis, "sessionStorage", {
    configurable: true,
    get() {
      throw new Error("Access is denied for this document.");
    },
  });
  const configuration = { sign_in: choices(mia), phones_url: null, embedding_origins: [] };
  const opening = signIn(configuration, place);
  place.all().find((each) => each.tag === "button").listeners.click();
  assert.equal((await opening).manager.id, "mia");
  const again = await signIn(configuration, place);
  assert.equal(again.manager.id, "mia");
  again.signOut();
});
