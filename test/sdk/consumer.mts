// A program of a user, compiled against the package as it is published: what is right passes, what is wrong does not.
import { Dialproof, DialproofError, isVerificationEvent, verifyWebhook, type Check, type Start, type Verification } from "dialproof";
import { normalizeCode } from "dialproof/browser";
import { Handset } from "dialproof/testing";

const dialproof = new Dialproof({ baseUrl: "http://127.0.0.1:8080", key: "dp_test_1" });
const request: Start = { to: "+447700900123", channel: "voice", metadata: { user: "42" } };
const verification: Verification = await dialproof.start(request);
const check: Check = await dialproof.check(verification.id, normalizeCode("1"), { proof: "hash" });
const proof: string | undefined = check.proof;
if (check.result === "approved") await new Handset("").code(proof ?? "");
const event = await verifyWebhook("", {}, "whsec_");
if (isVerificationEvent(event)) event.data.attempts_left.toFixed();
for await (const { to } of dialproof.list({ status: "pending", created_after: new Date() })) to.trim();
try {
  await dialproof.get("vrf_1");
} catch (error) {
  if (error instanceof DialproofError && error.code === "rate_limited") error.retryAfter.toFixed();
  // @ts-expect-error: there is no such code
  if (error instanceof DialproofError && error.code === "rate_limit") error.retryAfter.toFixed();
}
// @ts-expect-error: there is no such channel
await dialproof.start({ to: "+447700900123", channel: "pigeon" });
// @ts-expect-error: whom to?
await dialproof.start({ channel: "sms" });
// @ts-expect-error: there is no such result
if (check.result === "correct") throw check;
// @ts-expect-error: the package has no such part
await import("dialproof/dist/client.js");
