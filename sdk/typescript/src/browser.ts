// What is safe in a web page: nothing here knows an API key. Start and check on your own server.
export { verifyProof } from "./proof.ts";
export type * from "./types.ts";

/** What the person typed, as a code: without spaces and hyphens, in ASCII digits and capitals. */
export function normalizeCode(typed: string): string {
  return typed
    .normalize("NFKC")
    .replace(/\p{Nd}/gu, (digit) => String(digitValue(digit)))
    .replace(/[^0-9a-z]/gi, "")
    .toUpperCase();
}

/** Digits stand in Unicode in rows of ten, and each row begins where the one before it no longer is a digit (UAX #44). */
function digitValue(digit: string): number {
  const point = digit.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(point - value - 1))) value++;
  return value;
}

/**
 * Waits for the code of an SMS that the start gave `autofill: {origin}` (WebOTP). Answers "" where the browser cannot
 * do it or nothing came; `signal` ends the wait, for when the person typed.
 */
export async function receiveCode(signal?: AbortSignal): Promise<string> {
  if (!("OTPCredential" in globalThis)) return "";
  try {
    const request = { otp: { transport: ["sms"] }, signal } as CredentialRequestOptions;
    const credential = (await navigator.credentials.get(request)) as { code?: string } | null;
    return credential?.code ?? "";
  } catch {
    return "";
  }
}

/** Whole seconds until `at` (`resend_at`), for a countdown; 0 when it is over. */
export function secondsUntil(at: string | undefined, now: Date = new Date()): number {
  return at ? Math.max(Math.ceil((Date.parse(at) - now.getTime()) / 1000), 0) : 0;
}
