/** The client against a server of Node's own: what counts is what goes over the wire. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { Client, NetworkError, Problem } from "./client.js";
import { cutAfter, entry, hangUp, json, problem, serve, stream } from "./testing/server.mjs";

/** Follows the feed and writes down what it tells. */
function follow(t, client, options = {}) {
  const told = { entries: [], states: [], resets: [] };
  const feed = client.feed({
    onEntry: (each) => told.entries.push(each),
    onReset: (head) => told.resets.push(head),
    onState: (state) => told.states.push(state),
    ...options,
  });
  t.after(() => feed.close());
  return { feed, told, seqs: () => told.entries.map(({ seq }) => seq) };
}

async function until(what, isTrue) {
  for (let tries = 0; !isTrue(); tries += 1) {
    assert.ok(tries < 1_000, `waited for: ${what}`);
    await sleep(5);
  }
}

// Requests.

test("a request carries the token, the query without what is left out, and the body", async (t) => {
  const { client, requests } = await serve(t, json({ ok: true }));
  assert.deepEqual(
    await client.get("/v1/people", { query: "a b&c", kind: undefined, cursor: null, limit: 2 }),
    { ok: true },
  );
  await client.put("/v1/people/p-1", { name: "Ana" });
  assert.equal(requests[0].url, "/v1/people?query=a+b%26c&limit=2");
  assert.equal(requests[0].headers.authorization, "Bearer secret");
  assert.deepEqual([requests[1].method, requests[1].body], ["PUT", { name: "Ana" }]);
  assert.equal(requests[1].headers["content-type"], "application/json");
});

test("an answer without content is null", async (t) => {
  const { client } = await serve(t, (_, response) => response.writeHead(204).end());
  assert.equal(await client.delete("/v1/people/p-1"), null);
});

test("a problem document is thrown with its code, its field and all its members", async (t) => {
  const { client } = await serve(t, problem(422, "invalid_phone", { field: "phones[1]", limit: 3 }));
  const error = await client.put("/v1/people/p-1", {}).catch((error) => error);
  assert.ok(error instanceof Problem);
  const { status, code, title, detail, field, message, isTemporary } = error;
  assert.deepEqual([status, code, title, field], [422, "invalid_phone", "No", "phones[1]"]);
  assert.deepEqual([detail, message, isTemporary], ["It is so.", "It is so.", false]);
  assert.equal(error.document.limit, 3);
});

test("when to come again is read from the header and from the document", async (t) => {
  const { client } = await serve(
    t,
    problem(429, "slow_down", {}, { "retry-after": "7" }),
    problem(429, "slow", { retry_after_s: 8 }),
  );
  assert.equal((await client.get("/v1/settings").catch((error) => error)).retryAfterMs, 7_000);
  assert.equal((await client.get("/v1/settings").catch((error) => error)).retryAfterMs, 8_000);
});

test("an error page of a proxy is a problem too", async (t) => {
  const { client } = await serve(t, (_, response) => response.writeHead(502).end("<h1>Bad gateway</h1>"));
  const error = await client.get("/v1/settings").catch((error) => error);
  assert.ok(error instanceof Problem);
  assert.deepEqual([error.status, error.code, error.isTemporary], [502, "http_502", true]);
});

test("no answer, a late one and one from somebody else are network errors", async (t) => {
  const { client } = await serve(
    t,
    hangUp,
    () => {},
    (_, response) => response.end("<html>Sign in to this hotel"),
  );
  for (const options of [{}, { timeoutMs: 30 }, {}]) {
    const error = await client.get("/v1/settings", {}, options).catch((error) => error);
    assert.ok(error instanceof NetworkError, String(error));
  }
});

test("what the caller stops is no network error", async (t) => {
  const { client } = await serve(t, () => {});
  const error = await client.get("/v1/settings", {}, { signal: AbortSignal.abort() }).catch((error) => error);
  assert.equal(error.name, "AbortError");
});

test("a refused token is renewed once, for all requests that need it", async (t) => {
  const { options, requests } = await serve(t, (request, response) => {
    const isNew = request.headers.authorization === "Bearer new";
    (isNew ? json({}) : problem(401, "unauthenticated"))(request, response);
  });
  let [token, renewals] = ["old", 0];
  const onUnauthorized = async () => {
    renewals += 1;
    await sleep(20);
    token = "new";
    return true;
  };
  const client = new Client({ ...options, token: () => token, onUnauthorized });
  await Promise.all([client.get("/v1/settings"), client.get("/v1/people")]);
  assert.deepEqual([renewals, requests.length], [1, 4]);
});

test("a token that is refused again, or that nobody renews, ends in the problem", async (t) => {
  const { options, client, requests } = await serve(t, problem(401, "unauthenticated"));
  const renewing = new Client({ ...options, onUnauthorized: async () => true });
  assert.equal((await renewing.get("/v1/settings").catch((error) => error)).status, 401);
  assert.equal(requests.length, 2);
  assert.equal((await client.get("/v1/settings").catch((error) => error)).status, 401);
  assert.equal(requests.length, 3);
});

test("a patient read goes on while the API is away, and not when it is refused", async (t) => {
  const { client, requests } = await serve(
    t,
    hangUp,
    problem(503, "unavailable"),
    json({ n: 1 }),
    problem(404, "not_found"),
  );
  assert.deepEqual(await client.get("/v1/settings", {}, { patienceMs: 5_000 }), { n: 1 });
  assert.equal(
    (await client.get("/v1/settings", {}, { patienceMs: 5_000 }).catch((error) => error)).status,
    404,
  );
  assert.equal(requests.length, 4);
});

test("pages follow the cursor to the end", async (t) => {
  const { client, requests } = await serve(
    t,
    json({ items: [1], next_cursor: "a" }),
    json({ items: [2], next_cursor: null }),
  );
  const items = [];
  for await (const page of client.pages("/v1/people", { limit: 1 })) items.push(...page.items);
  assert.deepEqual(items, [1, 2]);
  assert.deepEqual(
    requests.map(({ url }) => url),
    ["/v1/people?limit=1", "/v1/people?limit=1&cursor=a"],
  );
});

test("a file comes as it is", async (t) => {
  const { client } = await serve(t, (_, response) =>
    response.writeHead(200, { "content-type": "image/png" }).end("PNG"),
  );
  const blob = await client.blob("/v1/media/m-1");
  assert.deepEqual([blob.type, await blob.text()], ["image/png", "PNG"]);
});

// Sending.

test("a send is tried again under one key until the API has answered", async (t) => {
  const { client, requests } = await serve(
    t,
    hangUp,
    problem(503, "unavailable"),
    json({ messages: [{ message_id: "m" }] }, 202),
  );
  const sent = await client.send({ recipients: [{ person_id: "p" }], body: "Hello" });
  assert.equal(sent.messages[0].message_id, "m");
  const keys = new Set(requests.map(({ headers }) => headers["idempotency-key"]));
  assert.deepEqual([requests.length, keys.size], [3, 1]);
  assert.match([...keys][0], /^[!-~]{16,200}$/);
  assert.deepEqual(requests[2].body, requests[0].body);
});

test("two sends have two keys, and a given key is used", async (t) => {
  const { client, requests } = await serve(t, json({ messages: [] }, 202));
  for (const options of [{}, {}, { idempotencyKey: "mine" }])
    await client.send({ recipients: [], body: "" }, options);
  const keys = requests.map(({ headers }) => headers["idempotency-key"]);
  assert.notEqual(keys[0], keys[1]);
  assert.equal(keys[2], "mine");
});

test("a send that is refused is not tried again", async (t) => {
  const { client, requests } = await serve(t, problem(409, "recipient_opted_out"));
  const error = await client.send({ recipients: [], body: "" }).catch((error) => error);
  assert.deepEqual([error.code, requests.length], ["recipient_opted_out", 1]);
});

test("a send ends when the caller loses patience, in what happened last", async (t) => {
  const { client, requests } = await serve(t, hangUp);
  const error = await client.send({ recipients: [], body: "" }, { patienceMs: 40 }).catch((error) => error);
  assert.ok(error instanceof NetworkError);
  assert.ok(requests.length > 1);
});

test("a send ends when it is aborted between two tries", async (t) => {
  const { options, requests } = await serve(t, hangUp);
  const client = new Client({ ...options, backoff: { firstMs: 60_000, mostMs: 60_000 } });
  const abort = new AbortController();
  const sending = client
    .send({ recipients: [], body: "" }, { signal: abort.signal, patienceMs: Infinity })
    .catch((error) => error);
  await until("the first try", () => requests.length === 1);
  abort.abort();
  assert.equal((await sending).name, "AbortError");
});

// The feed.

test("the first block says where the feed begins, and entries come in order", async (t) => {
  const { client, requests } = await serve(t, stream("id: 41\n\n", entry(42), ":\n\n", entry(43)));
  const { feed, told } = follow(t, client);
  assert.equal(await feed.ready, 41);
  await until("two entries", () => told.entries.length === 2);
  assert.deepEqual(told.entries[0], { seq: 42, event: "message.created", data: { n: 42 } });
  assert.equal(told.entries[1].seq, 43);
  assert.equal(feed.position, 43);
  assert.deepEqual(told.states, ["connecting", "live"]);
  assert.equal(requests[0].headers["last-event-id"], undefined);
});

test("blocks are read wherever their bytes are cut", async (t) => {
  const lines = [
    "\u{feff}id:1",
    "",
    ":heartbeat",
    "id: 2",
    "event: message.created",
    'data: {"a":',
    'data: "é😀"}',
    "",
    "",
  ];
  const text = lines.join("\r\n") + entry(3);
  const bytes = Buffer.from(text);
  const { client } = await serve(
    t,
    stream(...Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))),
  );
  const { feed, told } = follow(t, client);
  assert.equal(await feed.ready, 1);
  await until("two entries", () => told.entries.length === 2);
  assert.deepEqual(told.entries[0].data, { a: "é😀" });
});

test("after a cut in the middle of a block nothing is missing and nothing is double", async (t) => {
  const { client, requests } = await serve(
    t,
    cutAfter("id: 1\n\n", entry(2), entry(3).slice(0, 20)),
    stream("id: 2\n\n", entry(1), entry(2), entry(3), entry(4)),
  );
  const { told, seqs } = follow(t, client);
  await until("the fourth", () => seqs().includes(4));
  assert.deepEqual(seqs(), [2, 3, 4]);
  assert.deepEqual(
    requests.map(({ headers }) => headers["last-event-id"]),
    [undefined, "2"],
  );
  assert.deepEqual(told.states, ["connecting", "live", "away", "live"]);
});

test("through a hundred cuts at any byte nothing is missing and nothing is double", async (t) => {
  const end = 400;
  const { client, requests } = await serve(t, (request, response) => {
    const after = Number(request.headers["last-event-id"] ?? 0);
    const blocks = Array.from({ length: end - after }, (_, n) => entry(after + 1 + n));
    const bytes = Buffer.from(`id: ${after}\n\n${blocks.join("")}`);
    const isLast = requests.length > 100;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(bytes.subarray(0, isLast ? bytes.length : 150 + ((requests.length * 37) % 200)), () => {
      if (!isLast) response.destroy();
    });
  });
  const { seqs } = follow(t, client);
  await until("the last one", () => seqs().at(-1) === end);
  assert.deepEqual(
    seqs(),
    Array.from({ length: end }, (_, n) => n + 1),
  );
  assert.ok(requests.length > 50, `${requests.length} connections`);
});

test("a block with only an id moves the position", async (t) => {
  const { client, requests } = await serve(
    t,
    cutAfter("id: 1\n\n", "id: 2\n\n", "id: 3\n\n"),
    stream("id: 3\n\n", entry(4)),
  );
  const { seqs } = follow(t, client);
  await until("the fourth", () => seqs().length === 1);
  assert.deepEqual(seqs(), [4]);
  assert.equal(requests[1].headers["last-event-id"], "3");
});

test("a feed that is given a position goes on after it", async (t) => {
  const { client, requests } = await serve(t, stream("id: 7\n\n", entry(8)));
  const { feed, seqs } = follow(t, client, { after: 7 });
  assert.equal(await feed.ready, 7);
  await until("an entry", () => seqs().length === 1);
  assert.equal(requests[0].headers["last-event-id"], "7");
});

test("a gap is not shown: the feed goes back to the last position", async (t) => {
  const { client, requests } = await serve(
    t,
    stream("id: 1\n\n", entry(2), entry(4)),
    stream("id: 2\n\n", entry(3), entry(4)),
  );
  const { seqs } = follow(t, client);
  await until("the fourth", () => seqs().includes(4));
  assert.deepEqual(seqs(), [2, 3, 4]);
  assert.equal(requests[1].headers["last-event-id"], "2");
});

test("a reset tells the new head, and the feed goes on from there", async (t) => {
  const { client } = await serve(t, stream('id: 900\nevent: reset\ndata: {"head":900}\n\n', entry(901)));
  const { feed, told, seqs } = follow(t, client, { after: 5 });
  await until("an entry", () => seqs().length === 1);
  assert.deepEqual([told.resets, seqs(), feed.position], [[900], [901], 901]);
});

test("a reset may also lead back", async (t) => {
  const { client } = await serve(t, stream('id: 3\nevent: reset\ndata: {"head":3}\n\n', entry(4)));
  const { told, seqs } = follow(t, client, { after: 900 });
  await until("an entry", () => seqs().length === 1);
  assert.deepEqual([told.resets, seqs()], [[3], [4]]);
});

test("a connection that says nothing any more is away, and another one is made", async (t) => {
  const { client, requests } = await serve(t, stream("id: 1\n\n"), stream("id: 1\n\n", entry(2)));
  const { told, seqs } = follow(t, client, { heartbeatMs: 40 });
  await until("the second connection", () => seqs().length === 1);
  assert.deepEqual(told.states.slice(0, 4), ["connecting", "live", "away", "live"]);
  assert.equal(requests[1].headers["last-event-id"], "1");
});

test("heartbeats keep a connection alive", async (t) => {
  const { client, requests } = await serve(t, (_, response) => {
    response.writeHead(200).write("id: 1\n\n");
    const beat = setInterval(() => response.write(":\n\n"), 20);
    response.on("close", () => clearInterval(beat));
  });
  const { told } = follow(t, client, { heartbeatMs: 40 });
  await sleep(300);
  assert.deepEqual([told.states, requests.length], [["connecting", "live"], 1]);
});

test("while the API is away the feed tries again and again, with longer waits", async (t) => {
  const away = [hangUp, problem(503, "unavailable"), hangUp, problem(429, "slow_down")];
  const { client, requests } = await serve(t, ...away, stream("id: 1\n\n"));
  const { feed, told } = follow(t, client);
  assert.equal(await feed.ready, 1);
  assert.equal(requests.length, 5);
  await until("live", () => told.states.at(-1) === "live");
  assert.deepEqual(told.states, ["connecting", "away", "live"]);
});

test("a feed whose token has expired goes on with a new one, at the same position", async (t) => {
  const { options, requests } = await serve(
    t,
    cutAfter("id: 1\n\n", entry(2)),
    problem(401, "unauthenticated"),
    stream("id: 2\n\n", entry(3)),
  );
  let token = "old";
  const client = new Client({
    ...options,
    token: () => token,
    onUnauthorized: async () => ((token = "new"), true),
  });
  const { seqs } = follow(t, client);
  await until("the third", () => seqs().includes(3));
  const { authorization, "last-event-id": last } = requests[2].headers;
  assert.deepEqual([authorization, last, seqs()], ["Bearer new", "2", [2, 3]]);
});

test("a feed that is refused ends with the problem", async (t) => {
  const { client, requests } = await serve(t, problem(422, "invalid_last_event_id"));
  const { feed, told } = follow(t, client);
  await assert.rejects(feed.ready, { code: "invalid_last_event_id" });
  await assert.rejects(feed.done, { code: "invalid_last_event_id" });
  await sleep(50);
  assert.deepEqual([requests.length, told.states], [1, ["connecting", "away"]]);
});

test("a closed feed asks for nothing more", async (t) => {
  const { client, requests } = await serve(t, cutAfter("id: 1\n\n"));
  const { feed, told } = follow(t, client);
  await until("away", () => told.states.includes("away"));
  feed.close();
  await feed.done;
  // What was on its way arrives.
  await sleep(30);
  const asked = requests.length;
  await sleep(60);
  assert.equal(requests.length, asked);
});

test("a browser that goes offline is away at once, and back online it does not wait any longer", async (t) => {
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  t.after(() => delete globalThis.addEventListener);
  const { options, requests } = await serve(t, stream("id: 1\n\n"), stream("id: 1\n\n", entry(2)));
  const client = new Client({ ...options, backoff: { firstMs: 60_000, mostMs: 60_000 } });
  const { feed, told, seqs } = follow(t, client);
  await feed.ready;
  page.dispatchEvent(new Event("offline"));
  await until("away", () => told.states.at(-1) === "away");
  assert.equal(requests.length, 1);
  page.dispatchEvent(new Event("online"));
  await until("an entry", () => seqs().length === 1);
});

// The example.

test("the example of the README runs as it stands there", async (t) => {
  const readme = await readFile(new URL("README.md", import.meta.url), "utf8");
  const example = /```js\n(import \{ Client \}.*?)```/s.exec(readme)?.[1] ?? "";
  const lines = example.trim().split("\n");
  assert.ok(lines.length <= 20, `${lines.length} lines`);
  const message = { message_id: "m-1", body: "Hello Ana.", status: "queued" };
  const routes = {
    "GET /v1/feed": stream(
      "id: 1\n\n",
      'id: 2\nevent: message.updated\ndata: {"message_id":"m-1","body":"Hello Ana.","status":"delivered"}\n\n',
    ),
    "GET /v1/conversations": json({
      items: [{ last_message: { message_id: "m-0", body: "Hi.", status: "received" } }],
    }),
    "POST /v1/messages": json({ messages: [message], rejected: [] }, 202),
  };
  const { baseUrl, requests } = await serve(t, (request, response) => {
    routes[`${request.method} ${request.url.split("?")[0]}`](request, response);
  });
  const shown = [];
  const code = lines.filter((line) => !line.startsWith("import ")).join("\n");
  const run = Object.getPrototypeOf(async () => {}).constructor;
  const feed = await new run("Client", "gatewayUrl", "token", "show", `${code}\nreturn feed;`)(
    Client,
    baseUrl,
    "secret",
    (each) => shown.push(`${each.body} ${each.status}`),
  );
  t.after(() => feed.close());
  await until("what happened", () =>
    ["Hi. received", "Hello Ana. queued", "Hello Ana. delivered"].every((line) => shown.includes(line)),
  );
  assert.ok(requests.some(({ headers }) => headers["idempotency-key"]));
});
