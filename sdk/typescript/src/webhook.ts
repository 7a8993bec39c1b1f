import type { Verification } from "./types.ts";
import { decodeBase64, encodeBase64, equal } from "./bytes.ts";

/** What every event has. The same `id` may come twice: keep it with what you did. */
interface Told {
  /** Stays the same when the event is sent again. */
  id: string;
  /** When it happened. */
  timestamp: string;
  /** Grows with each event of one verification: a smaller one than you have seen is older news. */
  sequence?: number;
  /** The id of the delivery that has changed, with `delivery.updated`. */
  delivery?: string;
}

/** An event about a verification, with the verification as it was then. */
export interface VerificationEvent extends Told {
  type: "verification.started" | "verification.approved" | "verification.failed" | "verification.expired" | "verification.canceled" | "delivery.updated";
  data: Verification;
}

/** An event of another type: a dotted word. Expect types that are not known yet. */
export interface OtherEvent extends Told {
  type: string & {};
  data: Record<string, unknown>;
}

/** What Dialproof tells an application. `isVerificationEvent` tells the two apart. */
export type Event = VerificationEvent | OtherEvent;

/** Whether an event is about a verification, which is then its `data`. */
export function isVerificationEvent(event: Event): event is VerificationEvent {
  return /^(verification\.|delivery\.updated$)/.test(event.type);
}

/** The request is not to be believed. Answer it with 400. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** How far a webhook's time may be from ours, in seconds: an older one could be a replay. */
export const webhookTolerance = 300;

type Headers_ = Headers | Record<string, string | string[] | undefined>;

/**
 * Answers the event in a body, after its signature was verified (Standard Webhooks 1.0, HMAC-SHA-256), and throws
 * WebhookError else. `body` must be byte for byte what arrived. While secrets are rotated, give both.
 */
export async function verifyWebhook(body: string | Uint8Array, headers: Headers_, secrets: string | string[], now: Date = new Date()): Promise<Event> {
  const header = (name: string): string => {
    const value = headers instanceof Headers ? headers.get(name) : (headers[name] ?? Object.entries(headers).find(([n]) => n.toLowerCase() === name)?.[1]);
    return Array.isArray(value) ? (value[0] ?? "") : (value ?? "");
  };
  const id = header("webhook-id");
  const stamp = header("webhook-timestamp");
  if (!id || !/^\d{1,15}$/.test(stamp)) throw new WebhookError("dialproof: webhook-id or webhook-timestamp is missing");
  const away = Math.floor(now.getTime() / 1000) - Number(stamp);
  if (Math.abs(away) > webhookTolerance) throw new WebhookError(`dialproof: the webhook's time is ${away} s from ours`);
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const head = new TextEncoder().encode(`${id}.${stamp}.`);
  const signed = new Uint8Array(head.length + bytes.length);
  signed.set(head);
  signed.set(bytes, head.length);
  if (!(await fits(signed, header("webhook-signature").split(" "), [secrets].flat()))) throw new WebhookError("dialproof: no signature of the webhook fits");
  let event: Event;
  try {
    event = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new WebhookError("dialproof: the webhook's body is no event");
  }
  return { ...event, id };
}

async function fits(signed: Uint8Array<ArrayBuffer>, signatures: string[], secrets: string[]): Promise<boolean> {
  for (const secret of secrets) {
    const raw = decodeBase64(secret.replace(/^whsec_/, ""));
    if (!raw?.length) throw new TypeError("dialproof: a webhook's secret is whsec_ and base64");
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const want = "v1," + encodeBase64(new Uint8Array(await crypto.subtle.sign("HMAC", key, signed)));
    if (signatures.some((s) => equal(s, want))) return true;
  }
  return false;
}
