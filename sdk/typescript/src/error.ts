import type { ErrorCode, FieldError, Problem } from "./types.ts";

/** A refusal of the server (RFC 9457). Act on `code`, which never changes; `message` and `detail` are for people. */
export class DialproofError extends Error {
  override readonly name = "DialproofError";
  /** The stable code. `bad_answer` is the SDK's own: what answered is no Dialproof server, or a proxy stands before it. */
  readonly code: ErrorCode | "bad_answer";
  /** The HTTP status. */
  readonly status: number;
  /** What is wrong, in words. It holds no code and no whole number. */
  readonly detail: string;
  /** The fields that are wrong, with `invalid_request`. */
  readonly errors: FieldError[];
  /** The limit that refused, with `rate_limited` and `number_locked`. */
  readonly limit: string | undefined;
  /** Names the request in the server's log; empty when the server did not say. */
  readonly requestId: string;
  /** Seconds after which another try may pass; 0 when the server did not say. */
  readonly retryAfter: number;

  constructor(problem: Partial<Problem>, status: number, retryAfter: number) {
    const code = problem.code ?? "bad_answer";
    const fields = (problem.errors ?? []).map((f) => `; ${f.field}: ${f.detail}`).join("");
    const words = problem.detail ?? problem.title ?? "the answer is not that of a Dialproof server";
    super(`dialproof: ${code} (${status}): ${words}${fields}`);
    this.code = code;
    this.status = status;
    this.detail = problem.detail ?? "";
    this.errors = problem.errors ?? [];
    this.limit = problem.limit;
    this.requestId = problem.instance ?? "";
    this.retryAfter = retryAfter;
  }
}

/** No answer came: the server could not be reached, the answer broke off, or the time was up. */
export class DialproofConnectionError extends Error {
  override readonly name = "DialproofConnectionError";
  /** Whether the time was up. */
  readonly timeout: boolean;

  constructor(host: string, cause: unknown) {
    const timeout = cause instanceof DOMException && cause.name === "TimeoutError";
    super(`dialproof: no answer from ${host}${timeout ? " in time" : ""}`, { cause });
    this.timeout = timeout;
  }
}
