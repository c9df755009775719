/**
 * A server that plays the API for the tests of the client, as it is on the wire: answers, refusals, streams that are cut. It
 * is no file of the page, and so its name ends otherwise.
 *
 * @module testing/server
 */

import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "../client.js";

const FAST = { firstMs: 4, mostMs: 20 };

/**
 * A server that answers request after request with the next of its answers, and the last one from then on.
 *
 * @param {import("node:test").TestContext} t
 * @param {...((request: any, response: http.ServerResponse) => void)} answers
 */
export async function serve(t, ...answers) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    let body = "";
    const seen = { method: request.method, url: request.url, headers: request.headers, body: null };
    requests.push(seen);
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    for await (const chunk of request) body += chunk;
    if (body !== "") seen.body = JSON.parse(body);
    answer(seen, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  const options = { baseUrl, token: "secret", backoff: FAST };
  return { requests, baseUrl, options, client: new Client(options) };
}

/** A JSON body. */
export const json =
  (value, status = 200) =>
  (_, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };

/** A refusal. */
export const problem =
  (status, code, more = {}, headers = {}) =>
  (_, response) => {
    response.writeHead(status, { "content-type": "application/problem+json", ...headers });
    response.end(
      JSON.stringify({
        type: `urn:leaseline:problem:${code}`,
        title: "No",
        status,
        detail: "It is so.",
        code,
        ...more,
      }),
    );
  };

/** No answer. */
export const hangUp = (_, response) => response.destroy();

/** An event stream that writes the pieces and then stays open. */
export const stream =
  (...pieces) =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    write(response, pieces);
  };

/** The same, and then the connection breaks. */
export const cutAfter =
  (...pieces) =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    write(response, pieces).then(() => response.destroy());
  };

async function write(response, pieces) {
  for (const piece of pieces) {
    response.write(piece);
    await sleep(2);
  }
}

/** A block of the feed. */
export const entry = (seq) => `id: ${seq}\nevent: message.created\ndata: {"n":${seq}}\n\n`;
