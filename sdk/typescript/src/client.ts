import { DialproofConnectionError, DialproofError } from "./error.ts";
import type { Channel, Check, CheckByNumber, CheckCode, Link, NewLink, Problem, Start, Status, Verification, VerificationPage } from "./types.ts";

/** What a client is made of. Times are milliseconds. */
export interface Options {
  /** The server's address, like `https://verify.example.com`. */
  baseUrl: string;
  /** An API key: `dp_live_…` or `dp_test_…`. It is a secret, so this class refuses to work in a web page. */
  key: string;
  /** Bounds one try of one call. Default: 10,000. */
  timeout?: number;
  /** How many times a call is repeated after its first try. Default: 3. */
  retries?: number;
  /** The longest pause before a repetition. When the server asks for a longer one, the call fails. Default: 5,000. */
  maxWait?: number;
  /** Put before the SDK's own User-Agent. */
  userAgent?: string;
  /** Instead of the global fetch, for a proxy or special certificates. */
  fetch?: typeof fetch;
}

/** What one call may be given. */
export interface CallOptions {
  /** Names the request, so that it is safe to repeat for 24 hours, by another process too. */
  idempotencyKey?: string;
  /** Ends the call early. */
  signal?: AbortSignal;
}

/** What narrows a list. Times may be a Date or RFC 3339. */
export interface Filter {
  to?: string;
  region?: string;
  status?: Status;
  purpose?: string;
  created_after?: Date | string;
  created_before?: Date | string;
  /** How many come with one call, 1 to 100. */
  limit?: number;
  /** Where to go on: the `next_cursor` of a page before. */
  cursor?: string;
}

const path = "/v1/verifications";

/**
 * Talks to one server with one API key. Make one and keep it.
 *
 * Calls that meet a lost connection, a full server or a short limit are repeated under one idempotency key, so that a
 * repetition never sends a second message.
 */
export class Dialproof {
  readonly #base: string;
  readonly #host: string;
  readonly #options: Required<Omit<Options, "baseUrl">>;

  constructor(options: Options) {
    if ("document" in globalThis && !("Deno" in globalThis)) {
      throw new Error("dialproof: an API key in a web page is no secret. Call your own server, and import dialproof/browser in pages");
    }
    let url: URL;
    try {
      url = new URL(options.baseUrl);
    } catch {
      throw new TypeError("dialproof: baseUrl must look like https://verify.example.com");
    }
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new TypeError("dialproof: baseUrl must be http or https");
    if (!options.key?.trim() || /[\r\n]/.test(options.key)) {
      throw new TypeError("dialproof: an API key is needed, on one line; `dialproof key create` makes one");
    }
    this.#base = url.origin + url.pathname.replace(/\/$/, "");
    this.#host = url.host;
    const agent = "dialproof-js/0.1";
    this.#options = {
      key: options.key,
      timeout: options.timeout ?? 10_000,
      retries: options.retries ?? 3,
      maxWait: options.maxWait ?? 5_000,
      userAgent: options.userAgent ? `${options.userAgent} ${agent}` : agent,
      fetch: options.fetch ?? globalThis.fetch,
    };
  }

  /** Asks for a verification. It is durable and on its way when the answer comes. */
  start(request: Start, options?: CallOptions): Promise<Verification> {
    return this.#call("POST", path, request, options);
  }

  /**
   * Submits the code that the person typed. Look at `result`: only `approved` proves anything, and a wrong code is an
   * answer, not an error. A payment's `transaction` must be that of the start; `proof` asks for a signed statement.
   */
  check(id: string, code: string, options: CallOptions & Omit<CheckCode, "code"> = {}): Promise<Check> {
    return this.#call("POST", `${path}/${encodeURIComponent(id)}/check`, { code, transaction: options.transaction, proof: options.proof }, options);
  }

  /** The same for the newest verification of a number and purpose, for who did not keep the id. */
  checkByNumber(request: CheckByNumber, options?: CallOptions): Promise<Check> {
    return this.#call("POST", `${path}/check`, request, options);
  }

  /** Sends the code again, over another channel if one is named. Too early, it fails with `rate_limited`. */
  resend(id: string, options: CallOptions & { channel?: Channel } = {}): Promise<Verification> {
    return this.#call("POST", `${path}/${encodeURIComponent(id)}/resend`, { channel: options.channel }, options);
  }

  /** Ends a pending verification. Its code is dead when the answer comes. */
  cancel(id: string, options?: CallOptions): Promise<Verification> {
    return this.#call("POST", `${path}/${encodeURIComponent(id)}/cancel`, {}, options);
  }

  /**
   * Makes a link to the hosted page, where a person enters the number and the code. Send them to its `url`, and keep its `id` with their
   * session: the proof with which they come back must name it.
   */
  createLink(request: NewLink, options?: CallOptions): Promise<Link> {
    return this.#call("POST", "/v1/links", request, options);
  }

  /** Looks at a verification. */
  get(id: string, options?: CallOptions): Promise<Verification> {
    return this.#call("GET", `${path}/${encodeURIComponent(id)}`, undefined, options);
  }

  /** One page, newest first. `next_cursor` is null on the last. */
  listPage(filter: Filter = {}, options?: CallOptions): Promise<VerificationPage> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) {
      if (value !== undefined && value !== "") query.set(name, value instanceof Date ? value.toISOString() : String(value));
    }
    return this.#call("GET", query.size > 0 ? `${path}?${query}` : path, undefined, options);
  }

  /** All of them, newest first, page after page as they are read: `for await (const v of dialproof.list()) …` */
  async *list(filter: Filter = {}, options?: CallOptions): AsyncGenerator<Verification, void, undefined> {
    for (let cursor = filter.cursor; ; ) {
      const page = await this.listPage({ ...filter, cursor }, options);
      yield* page.data;
      if (!page.next_cursor) return;
      cursor = page.next_cursor;
    }
  }

  /** One call with its repetitions. */
  async #call<T>(method: string, target: string, body: unknown, options: CallOptions = {}): Promise<T> {
    const headers: Record<string, string> = {
      Authorization: `Bearer ${this.#options.key}`,
      Accept: "application/json",
      "User-Agent": this.#options.userAgent,
    };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method === "POST") headers["Idempotency-Key"] = options.idempotencyKey ?? crypto.randomUUID();
    const request = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
    for (let tries = 0; ; tries++) {
      try {
        return await this.#try<T>(target, request, options.signal);
      } catch (error) {
        const wait = tries < this.#options.retries ? this.#repeatAfter(error, tries) : undefined;
        if (wait === undefined || options.signal?.aborted) throw error;
        await pause(wait, options.signal);
      }
    }
  }

  /** How long to wait before a repetition, or undefined when none would help. */
  #repeatAfter(error: unknown, tries: number): number | undefined {
    // Up to a quarter more, so that those who were refused together do not come back together.
    const backoff = Math.min(200 * 2 ** Math.min(tries, 10) * (1 + Math.random() / 4), this.#options.maxWait);
    if (error instanceof DialproofConnectionError) return backoff;
    if (!(error instanceof DialproofError)) return undefined;
    const again = [429, 502, 503, 504].includes(error.status) || error.code === "idempotency_in_flight";
    if (!again || (error.status === 429 && error.retryAfter === 0)) return undefined;
    const wait = Math.max(error.retryAfter * 1000, backoff);
    return wait <= this.#options.maxWait ? wait : undefined;
  }

  /** One request. */
  async #try<T>(target: string, request: RequestInit, signal?: AbortSignal): Promise<T> {
    const bounds = [AbortSignal.timeout(this.#options.timeout)];
    if (signal) bounds.push(signal);
    let response: Response;
    let text: string;
    try {
      const send = this.#options.fetch;
      // A redirect must not carry the key to somewhere else.
      response = await send(this.#base + target, { ...request, redirect: "manual", signal: AbortSignal.any(bounds) });
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw new DialproofConnectionError(this.#host, error);
    }
    const answer = parse(text);
    if (response.ok && answer !== undefined) return answer as T;
    throw new DialproofError(response.ok ? {} : problem(answer), response.status, retryAfter(response.headers.get("Retry-After")));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A refusal's document. What is none is given back empty: it may be a proxy's page. */
function problem(answer: unknown): Partial<Problem> {
  return typeof answer === "object" && answer !== null && typeof (answer as Problem).code === "string" ? (answer as Problem) : {};
}

/** Seconds of a Retry-After header: a number, which is how Dialproof writes it, or a date (RFC 9110 §10.2.3); a day at most. */
function retryAfter(header: string | null): number {
  if (!header) return 0;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : Math.floor((Date.parse(header) - Date.now()) / 1000);
  return Math.min(Math.max(seconds || 0, 0), 86_400);
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
