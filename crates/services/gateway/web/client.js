/**
 * A client of Leaseline's API for browsers. One file without dependencies: copy it as it is.
 *
 * It does what every client needs and is easily done wrong: errors as problem documents, sends that go out
 * once however often they are tried, and the live feed without a gap and without a double. README.md has an
 * example.
 *
 * @module client
 */

/** How often the feed shows that it lives, in milliseconds. */
const HEARTBEAT_MS = 15_000;
/** A feed that is silent for longer than this many heartbeats is away. */
const SILENT_HEARTBEATS = 2.5;
const REQUEST_TIMEOUT_MS = 30_000;
const SEND_PATIENCE_MS = 120_000;
const BACKOFF = { firstMs: 500, mostMs: 15_000 };
/** A stream that lived this long was a good one: after it the waits begin anew. */
const GOOD_STREAM_MS = 5_000;

/**
 * @typedef {{ id: string, name: string }} Manager
 *
 * @typedef {object} Message One SMS or MMS.
 * @property {string} message_id
 * @property {string} conversation_id
 * @property {"inbound" | "outbound"} direction
 * @property {string} body
 * @property {Media[]} media
 * @property {string | null} from E.164.
 * @property {string} to E.164.
 * @property {Manager | null} manager Who sent it. Null: inbound.
 * @property {string} status `received`, `queued`, `sending`, `sent`, `delivered`, `undelivered`, `failed`,
 *   `canceled`, `unknown`. It never goes backwards.
 * @property {{ code: string, detail: string } | null} error
 * @property {number} segments
 * @property {string} created_at RFC 3339, as all times.
 * @property {string | null} sent_at
 * @property {string | null} delivered_at
 * @property {string} [batch_id]
 * @property {string} [sent_again_as]
 *
 * @typedef {object} Media
 * @property {string | null} url
 * @property {string | null} content_type
 * @property {string | null} media_id Null: of an outbound message.
 * @property {string | null} state `pending`, `stored` or `failed`.
 * @property {number | null} size_bytes
 *
 * @typedef {object} Conversation
 * @property {string} conversation_id
 * @property {string} number E.164: the other side.
 * @property {{ person_id: string, kind: string, name: string }[]} people
 * @property {Message | null} last_message
 * @property {boolean} sendable
 * @property {string | null} reason Why it is read-only.
 * @property {Consent | null} consent
 * @property {string} opened_at
 * @property {number} [unread] Left out on the feed.
 * @property {string | null} newer_conversation_id
 * @property {string[]} older_conversation_ids
 *
 * @typedef {{ opted_out: boolean, source: string, manager: Manager | null, reason: string | null,
 *   changed_at: string }} Consent
 * @typedef {{ recipient: Recipient, code: string, detail: string, unseen?: Message[] }} Rejected
 * @typedef {{ person_id: string } | { conversation_id: string }} Recipient
 *
 * @typedef {object} NewMessage
 * @property {Recipient[]} recipients
 * @property {string} body
 * @property {string[]} [media_urls]
 * @property {number} [last_seen_seq]
 * @property {string} [send_at]
 *
 * @typedef {object} Sent
 * @property {string} [batch_id]
 * @property {Message[]} messages
 * @property {Rejected[]} rejected
 * @property {object} [scheduled]
 *
 * @typedef {{ seq: number, event: string, data: any }} FeedEntry
 * @typedef {"connecting" | "live" | "away"} FeedState
 * @typedef {{ signal?: AbortSignal, timeoutMs?: number }} RequestOptions
 */

/** The API said no, with a problem document (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status The HTTP status.
   * @param {Record<string, any>} document The problem document, or what there is of one.
   * @param {number | null} retryAfterMs When to come again, if it was said.
   */
  constructor(status, document, retryAfterMs = null) {
    super(document.detail ?? document.title ?? `The answer was ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.document = document;
    /** Stable; for programs. */
    this.code = String(document.code ?? `http_${status}`);
    this.title = String(document.title ?? "");
    /** A sentence for people. */
    this.detail = String(document.detail ?? "");
    /** The input field, parameter or header that is wrong. @type {string | null} */
    this.field = document.field ?? null;
    this.retryAfterMs = retryAfterMs;
  }

  /** The same request may succeed a moment later. */
  get isTemporary() {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** No answer came. Nobody knows whether the request arrived. */
export class NetworkError extends Error {
  /** @param {string} message @param {unknown} [cause] */
  constructor(message, cause) {
    super(message, { cause });
    this.name = "NetworkError";
  }

  get isTemporary() {
    return true;
  }
}

/** The API, as one user of it. */
export class Client {
  #baseUrl;
  #token;
  #onUnauthorized;
  #fetch;
  #backoff;
  /** The renewal that is under way. @type {Promise<boolean> | null} */
  #renewal = null;

  /**
   * @param {object} options
   * @param {string} [options.baseUrl] Where the API is. Empty: where the page is from.
   * @param {string | (() => string | Promise<string>)} options.token A function is asked before each request.
   * @param {() => Promise<boolean>} [options.onUnauthorized] The token was refused. True: there is a new one.
   * @param {typeof globalThis.fetch} [options.fetch]
   * @param {{ firstMs: number, mostMs: number }} [options.backoff] Waits between tries.
   */
  constructor({ baseUrl = "", token, onUnauthorized, fetch, backoff = BACKOFF }) {
    this.#baseUrl = baseUrl.replace(/\/$/, "");
    this.#token = token;
    this.#onUnauthorized = onUnauthorized;
    this.#fetch = fetch ?? ((...args) => globalThis.fetch(...args));
    this.#backoff = backoff;
  }

  /**
   * @param {string} path `/v1/…`
   * @param {Record<string, any>} [query] What is null or undefined is left out.
   * @param {RequestOptions & { patienceMs?: number }} [options] `patienceMs`: how long it is tried again
   *   while the API is away.
   * @returns {Promise<any>} The parsed answer, or null where there is none.
   */
  get(path, query, { patienceMs = 0, ...options } = {}) {
    const attempt = async () => parse(await this.request("GET", path, { query, ...options }));
    return this.#insist(attempt, patienceMs, options.signal);
  }

  /** @param {string} path @param {unknown} body @param {RequestOptions} [options] @returns {Promise<any>} */
  async put(path, body, options = {}) {
    return parse(await this.request("PUT", path, { body, ...options }));
  }

  /** @param {string} path @param {unknown} body @param {RequestOptions} [options] @returns {Promise<any>} */
  async patch(path, body, options = {}) {
    return parse(await this.request("PATCH", path, { body, ...options }));
  }

  /**
   * @param {string} path
   * @param {unknown} [body]
   * @param {RequestOptions & { idempotencyKey?: string }} [options]
   * @returns {Promise<any>}
   */
  async post(path, body, { idempotencyKey, ...options } = {}) {
    /** @type {Record<string, string>} */
    const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    return parse(await this.request("POST", path, { body, headers, ...options }));
  }

  /** @param {string} path @param {RequestOptions} [options] @returns {Promise<any>} */
  async delete(path, options = {}) {
    return parse(await this.request("DELETE", path, options));
  }

  /**
   * A file: a picture of a message, a transcript.
   *
   * @param {string} path
   * @param {RequestOptions & { query?: Record<string, any> }} [options]
   * @returns {Promise<Blob>}
   */
  async blob(path, options = {}) {
    return read(await this.request("GET", path, options), (response) => response.blob());
  }

  /**
   * The pages of a list, one after the other, as the API answers them.
   *
   * @param {string} path
   * @param {Record<string, any>} [query]
   * @param {RequestOptions & { patienceMs?: number, cursorName?: string }} [options]
   *   `cursorName`: `before` for the messages of a conversation.
   * @returns {AsyncGenerator<{ items: any[], next_cursor: string | null }>}
   */
  async *pages(path, query = {}, { cursorName = "cursor", ...options } = {}) {
    for (let cursor = query[cursorName]; cursor !== null;) {
      const page = await this.get(path, { ...query, [cursorName]: cursor }, options);
      yield page;
      cursor = page.next_cursor;
    }
  }

  /**
   * Sends a text to one or many. While nobody knows whether the API took it, it is tried again by itself,
   * under the same key: each recipient gets it once.
   *
   * @param {NewMessage} message
   * @param {{ idempotencyKey?: string, signal?: AbortSignal, patienceMs?: number }} [options] Give the key of
   *   a send that ended in a `NetworkError` to go on with it, and a new one for a send that was refused.
   * @returns {Promise<Sent>}
   */
  send(message, { idempotencyKey = crypto.randomUUID(), signal, patienceMs = SEND_PATIENCE_MS } = {}) {
    const attempt = () => this.post("/v1/messages", message, { idempotencyKey, signal });
    return this.#insist(attempt, patienceMs, signal);
  }

  /**
   * Follows what happens in the license: in order, without a gap, without a double, through broken
   * connections.
   *
   * Fetch what is shown after `ready`: it has all that came before, and the feed all that comes after.
   *
   * @param {object} options
   * @param {number | null} [options.after] The position to go on after. Null: from now on.
   * @param {(entry: FeedEntry) => void} options.onEntry
   * @param {(head: number) => void} [options.onReset] The position was too old: fetch what is shown again.
   * @param {(state: FeedState) => void} [options.onState]
   * @param {AbortSignal} [options.signal]
   * @param {number} [options.heartbeatMs]
   * @returns {Feed}
   */
  feed({
    after = null,
    onEntry,
    onReset = () => {},
    onState = () => {},
    signal,
    heartbeatMs = HEARTBEAT_MS,
  }) {
    const options = { after, onEntry, onReset, onState, signal, heartbeatMs };
    return new Feed(this, options, this.#backoff);
  }

  /**
   * One request with the token. Answers of 400 and above are thrown.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions & { query?: Record<string, any>, body?: unknown, headers?: Record<string, string>
   *   }} [options] `timeoutMs`: Infinity for a stream.
   * @returns {Promise<Response>}
   */
  async request(
    method,
    path,
    { query = {}, body, headers = {}, signal, timeoutMs = REQUEST_TIMEOUT_MS } = {},
  ) {
    const address = this.#baseUrl + path + write(query);
    const signals = signal ? [signal] : [];
    if (Number.isFinite(timeoutMs)) signals.push(AbortSignal.timeout(timeoutMs));
    for (let isRenewed = false; ;) {
      const token = typeof this.#token === "function" ? await this.#token() : this.#token;
      /** @type {RequestInit & { headers: Record<string, string> }} */
      const init = {
        method,
        headers: { authorization: `Bearer ${token}`, ...headers },
        signal: AbortSignal.any(signals),
      };
      if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers["content-type"] = "application/json";
      }
      const response = await reach(() => this.#fetch(address, init), signal);
      if (response.ok) return response;
      if (response.status === 401 && !isRenewed && (await this.#renew())) {
        isRenewed = true;
        continue;
      }
      throw await readProblem(response);
    }
  }

  /** Asks for a new token, once for all requests that need one. @returns {Promise<boolean>} */
  #renew() {
    if (!this.#onUnauthorized) return Promise.resolve(false);
    this.#renewal ??= Promise.resolve(this.#onUnauthorized()).finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  /**
   * @template T
   * @param {() => Promise<T>} attempt
   * @param {number} patienceMs
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async #insist(attempt, patienceMs, signal) {
    const end = Date.now() + patienceMs;
    for (let failures = 0; ; failures += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!error.isTemporary || signal?.aborted) throw error;
        const delay = decideDelay(this.#backoff, failures, error.retryAfterMs);
        if (Date.now() + delay > end) throw error;
        await pause(delay, signal);
        signal?.throwIfAborted();
      }
    }
  }
}

/** The live feed, followed until it is closed. */
class Feed {
  #client;
  #options;
  #backoff;
  #closing = new AbortController();
  /** Ends the connection of now. */
  #connection = new AbortController();
  /** @type {FeedState | null} */
  #state = null;
  #resolveReady = /** @type {(position: number) => void} */ (() => {});
  #rejectReady = /** @type {(problem: Error) => void} */ (() => {});

  constructor(client, options, backoff) {
    this.#client = client;
    this.#options = options;
    this.#backoff = backoff;
    /** The last position that was seen. @type {number | null} */
    this.position = options.after;
    /**
     * Resolves with the position where the feed begins; rejects when the API refuses it.
     * @type {Promise<number>}
     */
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => {});
    const signal = options.signal;
    if (signal?.aborted) this.close();
    signal?.addEventListener("abort", () => this.close(), { once: true });
    /**
     * Resolves when the feed was closed; rejects with the problem when the API refuses it.
     * @type {Promise<void>}
     */
    this.done = this.#run();
    this.done.catch(() => {});
  }

  close() {
    this.#closing.abort();
  }

  async #run() {
    const closing = this.#closing.signal;
    // A browser that knows that it is offline need not wait for the silence.
    const giveUp = () => this.#connection.abort();
    globalThis.addEventListener?.("offline", giveUp, { signal: closing });
    this.#tell("connecting");
    for (let failures = 0; !closing.aborted; failures += 1) {
      const startedAt = Date.now();
      let retryAfterMs = null;
      try {
        await this.#follow();
      } catch (error) {
        if (closing.aborted) break;
        if (error instanceof Problem && !error.isTemporary) return this.#refuse(error);
        retryAfterMs = error.retryAfterMs ?? null;
      }
      if (closing.aborted) break;
      this.#tell("away");
      if (Date.now() - startedAt > GOOD_STREAM_MS) failures = 0;
      await pause(decideDelay(this.#backoff, failures, retryAfterMs), closing, "online");
    }
    this.#rejectReady(new NetworkError("The feed was closed."));
  }

  /** One connection, to its end. */
  async #follow() {
    this.#connection = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, this.#connection.signal]);
    /** @type {Record<string, string>} */
    const headers = { accept: "text/event-stream" };
    if (this.position !== null) headers["last-event-id"] = String(this.position);
    const silence = new Silence(this.#options.heartbeatMs * SILENT_HEARTBEATS, () =>
      this.#connection.abort(),
    );
    try {
      const response = await this.#client.request("GET", "/v1/feed", {
        headers,
        signal,
        timeoutMs: Infinity,
      });
      silence.heard();
      await readBlocks(/** @type {ReadableStream} */ (response.body), silence, (block) => this.#take(block));
    } finally {
      silence.end();
      this.#connection.abort();
    }
  }

  /** @param {Block} block */
  #take({ id, event, data }) {
    if (id === null) return;
    const seq = Number(id);
    if (!Number.isSafeInteger(seq)) throw new NetworkError(`The feed's position "${id}" is no number.`);
    const last = this.position ?? seq - 1;
    const isReset = event === "reset";
    if (!isReset && seq > last + 1) throw new NetworkError(`The feed has a gap after ${last}.`);
    const isNew = isReset || seq > last;
    const parsed = isNew && event !== null ? JSON.parse(data) : null;
    if (isNew) this.position = seq;
    this.#resolveReady(seq);
    this.#tell("live");
    if (!isNew) return;
    if (isReset) guard(() => this.#options.onReset(seq));
    else if (event !== null) guard(() => this.#options.onEntry({ seq, event, data: parsed }));
  }

  #refuse(problem) {
    this.#tell("away");
    this.#rejectReady(problem);
    this.#closing.abort();
    throw problem;
  }

  /** @param {FeedState} state */
  #tell(state) {
    if (state === this.#state) return;
    this.#state = state;
    guard(() => this.#options.onState(state));
  }
}

/** Calls when nothing was heard for a while. */
class Silence {
  #timer;

  /** @param {number} afterMs @param {() => void} onSilence */
  constructor(afterMs, onSilence) {
    this.afterMs = afterMs;
    this.onSilence = onSilence;
    this.heard();
  }

  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.onSilence, this.afterMs);
  }

  end() {
    clearTimeout(this.#timer);
  }
}

/**
 * Reads server-sent events. A block that is cut off in the middle is dropped.
 *
 * @typedef {{ id: string | null, event: string | null, data: string }} Block
 * @param {ReadableStream<Uint8Array>} body
 * @param {Silence} silence
 * @param {(block: Block) => void} onBlock
 */
async function readBlocks(body, silence, onBlock) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let lines = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    silence.heard();
    rest += decoder.decode(value, { stream: true });
    // A carriage return at the very end may be the first half of a line break.
    const complete = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
    const split = complete.split(/\r\n|\n|\r/);
    rest = split.pop() + rest.slice(complete.length);
    for (const line of split) {
      if (line !== "") {
        lines.push(line);
      } else if (lines.length > 0) {
        const block = parseBlock(lines);
        lines = [];
        onBlock(block);
      }
    }
  }
}

/** @param {string[]} lines @returns {Block} */
function parseBlock(lines) {
  /** @type {[string | null, string | null]} */
  let [id, event] = [null, null];
  const data = [];
  for (const line of lines) {
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line) ?? [];
    if (name === "id") id = value;
    else if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  return { id, event: data.length > 0 ? (event ?? "message") : null, data: data.join("\n") };
}

/** A query string, with its question mark. */
function write(query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/**
 * What the network does wrong becomes a NetworkError; what the caller stopped stays what the caller said.
 *
 * @template T
 * @param {() => Promise<T>} step
 * @param {AbortSignal} [signal] The caller's own.
 * @returns {Promise<T>}
 */
async function reach(step, signal) {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    const isLate = error.name === "TimeoutError";
    throw new NetworkError(isLate ? "The answer did not come in time." : "The API cannot be reached.", error);
  }
}

/** @param {Response} response @param {(response: Response) => Promise<any>} how */
function read(response, how) {
  return reach(() => how(response));
}

/** @param {Response} response */
async function parse(response) {
  const text = await read(response, (response) => response.text());
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    // A hotel's sign-in page, for example.
    throw new NetworkError("The answer is not from the API.", error);
  }
}

/** @param {Response} response @returns {Promise<Problem>} */
async function readProblem(response) {
  const document = await response.json().catch(() => null);
  const isDocument = typeof document === "object" && document !== null;
  const header = response.headers.get("retry-after");
  const seconds = header === null ? document?.retry_after_s : header;
  const retryAfterMs = /^\d+$/.test(String(seconds)) ? Number(seconds) * 1000 : null;
  return new Problem(response.status, isDocument ? document : { title: response.statusText }, retryAfterMs);
}

/** Twice as long after each failure, and never the same for all clients. */
function decideDelay({ firstMs, mostMs }, failures, retryAfterMs) {
  const longest = Math.min(mostMs, firstMs * 2 ** failures);
  return Math.max(longest * (0.5 + Math.random() / 2), retryAfterMs ?? 0);
}

/**
 * Waits; shorter when the signal aborts or the page gets the event. Never rejects.
 *
 * @param {number} delayMs
 * @param {AbortSignal} [signal]
 * @param {string} [wakingEvent]
 */
function pause(delayMs, signal, wakingEvent) {
  return new Promise((resolve) => {
    const listening = new AbortController();
    const wake = () => {
      clearTimeout(timer);
      listening.abort();
      resolve(undefined);
    };
    const timer = setTimeout(wake, delayMs);
    if (signal?.aborted) return wake();
    signal?.addEventListener("abort", wake, { signal: listening.signal });
    if (wakingEvent) globalThis.addEventListener?.(wakingEvent, wake, { signal: listening.signal });
  });
}

/** An error of a listener is told to the page and does not stop the feed. */
function guard(call) {
  try {
    call();
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}
