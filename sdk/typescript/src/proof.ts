import { decodeBase64, equal } from "./bytes.ts";
import type { Channel, Purpose, Transaction } from "./types.ts";

/** What a signed statement of an approval says. */
export interface Proof {
  /** Is taken once (jti). */
  id: string;
  issuer: string;
  application: string;
  verification: string;
  /** The SHA-256 of the number in E.164, in lower-case hexadecimal. */
  numberHash: string;
  /** Is there when the check asked for `proof: "number"`. */
  number: string | undefined;
  country: string;
  purpose: Purpose;
  channel: Channel;
  /** Authentication methods of RFC 8176 (`otp`, `sms`). */
  methods: string[];
  /** `test` when the key was in test mode: then it says nothing about any real phone. */
  mode: "live" | "test";
  /** The payment that the person agreed to. */
  transaction: Transaction | undefined;
  approvedAt: Date;
  expiresAt: Date;
}

/** What a proof must say. What is left out may be anything. */
export interface Expected {
  /** The number in E.164. */
  to?: string;
  purpose?: Purpose;
  transaction?: Transaction;
  /** The id that your start answered. */
  verification?: string;
}

/** The proof proves nothing. */
export class ProofError extends Error {
  override readonly name = "ProofError";
  constructor(why: string) {
    super(`dialproof: proof refused: ${why}`);
  }
}

/** A public key as the server shows it (RFC 7517, RFC 8037). */
export interface PublicKey {
  kty?: string;
  crv?: string;
  kid?: string;
  x?: string;
}

export interface VerifyOptions extends Expected {
  /** Your application's id (`app_…`). */
  application: string;
  /** Takes proofs of test keys too. */
  testKeys?: boolean;
  now?: Date;
}

/** How far the clocks of two machines may be apart, in milliseconds. */
const leeway = 30_000;

/**
 * Answers what a proof says, judged by keys that you have, and throws ProofError else. It does not remember which proofs
 * were taken: take each `id` once. ProofVerifier does that, and fetches the keys.
 */
export async function verifyProof(proof: string, keys: PublicKey[], want: VerifyOptions): Promise<Proof> {
  const parts = proof.split(".");
  const [head = "", body = "", signature = ""] = parts;
  if (proof.length > 4096 || parts.length !== 3) throw new ProofError("it is no JWT");
  const { alg, kid, crit } = segment(head) as { alg?: string; kid?: string; crit?: unknown };
  if (alg !== "EdDSA" || crit !== undefined) throw new ProofError("it is not signed with EdDSA");
  const jwk = keys.find((k) => k.kid === kid && k.kty === "OKP" && k.crv === "Ed25519");
  if (!jwk?.x) throw new ProofError("the server has no such key");
  const key = await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", x: jwk.x }, "Ed25519", false, ["verify"]);
  const bytes = decodeBase64(signature);
  const holds = bytes && (await crypto.subtle.verify("Ed25519", key, bytes, new TextEncoder().encode(`${head}.${body}`)));
  if (!holds) throw new ProofError("its signature does not hold");
  const claims = segment(body);
  const answer = read(claims);
  await judge(answer, [claims["aud"]].flat(), want);
  return answer;
}

function segment(text: string): Record<string, unknown> {
  try {
    const bytes = decodeBase64(text);
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // falls through
  }
  throw new ProofError("it is no JWT");
}

function read(c: Record<string, unknown>): Proof {
  const text = (name: string) => (typeof c[name] === "string" ? (c[name] as string) : "");
  const time = (name: string) => new Date(typeof c[name] === "number" ? (c[name] as number) * 1000 : 0);
  return {
    id: text("jti"),
    issuer: text("iss"),
    application: "",
    verification: text("verification"),
    numberHash: text("sub"),
    number: text("phone_number") || undefined,
    country: text("country"),
    purpose: text("purpose"),
    channel: text("channel") as Channel,
    methods: Array.isArray(c["amr"]) ? (c["amr"] as string[]) : [],
    mode: text("mode") as "live" | "test",
    transaction: c["transaction"] as Transaction | undefined,
    approvedAt: time("iat"),
    expiresAt: time("exp"),
  };
}

/** Throws when a well-signed proof is not one that is wanted. */
async function judge(p: Proof, audience: unknown[], want: VerifyOptions): Promise<void> {
  if (!audience.includes(want.application)) throw new ProofError("it is for another application");
  p.application = want.application;
  const now = (want.now ?? new Date()).getTime();
  if (!p.id || p.expiresAt <= p.approvedAt) throw new ProofError("its claims are not those of a proof");
  if (now > p.expiresAt.getTime() + leeway) throw new ProofError("it is over");
  if (now < p.approvedAt.getTime() - leeway) throw new ProofError("it is from the future");
  if (p.mode !== "live" && !(want.testKeys && p.mode === "test")) throw new ProofError("it is of a test key");
  if (want.to && !equal(p.numberHash, await sha256(want.to))) throw new ProofError("it is about another number");
  if (want.purpose && p.purpose !== want.purpose) throw new ProofError("it is for another purpose");
  if (want.transaction && !same(p.transaction, want.transaction)) throw new ProofError("it is about another transaction");
  if (want.verification && p.verification !== want.verification) throw new ProofError("it is of another verification");
}

function same(a: Transaction | undefined, b: Transaction): boolean {
  return a?.amount === b.amount && a.currency === b.currency && a.payee === b.payee;
}

async function sha256(text: string): Promise<string> {
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, "0")).join("");
}

export interface VerifierOptions {
  /** The server's address. */
  baseUrl: string;
  /** Your application's id (`app_…`): a proof for another one proves nothing here. */
  application: string;
  /** Takes proofs of test keys too, which say nothing about any real phone. */
  testKeys?: boolean;
  /** A memory of taken proofs that several processes share: answers whether `id` is new, and keeps it until `expires`. */
  once?: (id: string, expires: Date) => boolean | Promise<boolean>;
  fetch?: typeof fetch;
}

/** Checks proofs with the server's public keys, without asking the server about each, and takes each proof once. */
export class ProofVerifier {
  readonly #options: VerifierOptions;
  readonly #url: string;
  readonly #taken = new Map<string, Date>();
  #keys: Promise<PublicKey[]> | undefined;
  #fetched = 0;

  constructor(options: VerifierOptions) {
    if (!options.application?.startsWith("app_")) throw new TypeError("dialproof: the application's id is needed (app_…)");
    this.#options = options;
    this.#url = new URL(options.baseUrl).href.replace(/\/$/, "") + "/.well-known/jwks.json";
  }

  /** Answers what a proof says, once: a second call with the same proof throws. */
  async verify(proof: string, want: Expected = {}, now: Date = new Date()): Promise<Proof> {
    const options = { ...want, now, application: this.#options.application, testKeys: this.#options.testKeys ?? false };
    let kid: unknown;
    try {
      kid = segment(proof.split(".", 1)[0] ?? "")["kid"];
    } catch {
      // verifyProof says what is wrong
    }
    const answer = await verifyProof(proof, await this.#keysWith(kid, now.getTime()), options);
    const expires = new Date(answer.expiresAt.getTime() + leeway);
    const once = this.#options.once ?? ((id, end) => this.#takeOnce(id, end, now));
    if (!(await once(answer.id, expires))) throw new ProofError("it was taken before");
    return answer;
  }

  #takeOnce(id: string, expires: Date, now: Date): boolean {
    for (const [old, end] of this.#taken) if (end < now) this.#taken.delete(old);
    if (this.#taken.has(id)) return false;
    this.#taken.set(id, expires);
    return true;
  }

  /** The server's keys, kept for five minutes. An unknown name fetches them again, but at most every ten seconds. */
  async #keysWith(kid: unknown, now: number): Promise<PublicKey[]> {
    const kept = await this.#keys?.catch(() => undefined);
    const age = now - this.#fetched;
    if (kept && age < 300_000 && (age < 10_000 || kept.some((k) => k.kid === kid))) return kept;
    this.#fetched = now;
    this.#keys = this.#fetch().catch((error: unknown) => {
      if (kept?.some((k) => k.kid === kid)) return kept;
      throw error;
    });
    return this.#keys;
  }

  async #fetch(): Promise<PublicKey[]> {
    const get = this.#options.fetch ?? globalThis.fetch;
    const response = await get(this.#url, { redirect: "error", signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`dialproof: no keys from ${this.#url}: it answers ${response.status}`);
    return ((await response.json()) as { keys: PublicKey[] }).keys;
  }
}
