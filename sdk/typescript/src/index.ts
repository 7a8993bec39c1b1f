export { Dialproof } from "./client.ts";
export type { CallOptions, Filter, Options } from "./client.ts";
export { DialproofConnectionError, DialproofError } from "./error.ts";
export { ProofError, ProofVerifier, verifyProof } from "./proof.ts";
export type { Expected, Proof, VerifierOptions } from "./proof.ts";
export { isVerificationEvent, verifyWebhook, WebhookError, webhookTolerance } from "./webhook.ts";
export type { Event, OtherEvent, VerificationEvent } from "./webhook.ts";
export type * from "./types.ts";
