// What test/sdk/scenarios.yaml cannot show: settings, the page's side, and what an error says. They run on dist.
import assert from "node:assert/strict";
import { test } from "node:test";
import { normalizeCode, receiveCode, secondsUntil } from "../dist/browser.js";
import { Dialproof, DialproofConnectionError, DialproofError, isVerificationEvent, verifyWebhook } from "../dist/index.js";

const settings = { baseUrl: "http://127.0.0.1:1/base/", key: "dp_test_1" };

/** A fetch that answers in turn, and notes what it was asked. */
function fake(...answers) {
  const asked = [];
  const fetch = async (url, request) => {
    asked.push({ url, ...request });
    const [status, body = "{}", headers = {}] = answers[Math.min(asked.length, answers.length) - 1];
    return new Response(body, { status, headers });
  };
  return { asked, fetch };
}

test("settings are judged when a client is made", () => {
  for (const bad of [{ baseUrl: "" }, { baseUrl: "ftp://x" }, { key: "" }, { key: "a\nb" }]) {
    assert.throws(() => new Dialproof({ ...settings, ...bad }), TypeError);
  }
});

test("a key has no place in a web page", () => {
  globalThis.document = {};
  try {
    assert.throws(() => new Dialproof(settings), /dialproof\/browser/);
  } finally {
    delete globalThis.document;
  }
});

test("a request carries the key, a name and an idempotency key, and an id stays one segment", async () => {
  const { asked, fetch } = fake([200]);
  await new Dialproof({ ...settings, fetch, userAgent: "shop/1" }).check("../keys", "1", { idempotencyKey: "order-42" });
  assert.equal(asked[0].url, "http://127.0.0.1:1/base/v1/verifications/..%2Fkeys/check");
  assert.equal(asked[0].body, '{"code":"1"}');
  assert.equal(asked[0].headers.Authorization, "Bearer dp_test_1");
  assert.equal(asked[0].headers["Idempotency-Key"], "order-42");
  assert.match(asked[0].headers["User-Agent"], /^shop\/1 dialproof-js\//);
});

test("a Retry-After may be a date", async () => {
  const { fetch } = fake([503, '{"code":"busy"}', { "Retry-After": new Date(Date.now() + 3600_000).toUTCString() }]);
  await assert.rejects(new Dialproof({ ...settings, fetch }).get("vrf_1"), (e) => e instanceof DialproofError && e.retryAfter > 3500);
});

test("an error says what is wrong, with its fields", async () => {
  const problem = { status: 422, code: "invalid_request", detail: "the request has one invalid field", errors: [{ field: "to", code: "invalid_number", detail: "is not a phone number" }] };
  const { fetch } = fake([422, JSON.stringify(problem)]);
  await assert.rejects(new Dialproof({ ...settings, fetch }).start({ to: "12" }), {
    message: "dialproof: invalid_request (422): the request has one invalid field; to: is not a phone number",
  });
});

test("a connection error names the host and not the number", async () => {
  const client = new Dialproof({ ...settings, retries: 0 });
  await assert.rejects(client.listPage({ to: "+447700900123" }), (e) => e instanceof DialproofConnectionError && !String(e).includes("7700900123"));
});

test("a signal ends the pause before a repetition", async () => {
  const { asked, fetch } = fake([503, '{"code":"busy"}', { "Retry-After": "5" }]);
  const stop = new AbortController();
  const call = new Dialproof({ ...settings, fetch }).get("vrf_1", { signal: stop.signal });
  setTimeout(() => stop.abort(new Error("enough")), 10);
  await assert.rejects(call, /enough/);
  assert.equal(asked.length, 1);
});

test("a webhook's secret that is none is a fault of the caller", async () => {
  const headers = new Headers({ "webhook-id": "a", "webhook-timestamp": String(Math.floor(Date.now() / 1000)), "webhook-signature": "v1,x" });
  await assert.rejects(verifyWebhook("{}", headers, "whsec_"), TypeError);
});

test("a code is understood as people type it", () => {
  for (const typed of ["123456", "123 456", "123-456", "１２３４５６", "١٢٣٤٥٦", "१२३४५६", " 12 34 56\n"]) assert.equal(normalizeCode(typed), "123456");
  assert.equal(normalizeCode("m39-3yp"), "M393YP");
});

test("countdowns and browsers without WebOTP", async () => {
  const now = new Date("2026-11-24T08:00:00Z");
  assert.equal(secondsUntil("2026-11-24T08:00:29.5Z", now), 30);
  assert.equal(secondsUntil("2026-11-24T07:00:00Z", now), 0);
  assert.equal(secondsUntil(undefined), 0);
  assert.equal(await receiveCode(), "");
});

test("events are about a verification or not", () => {
  assert.ok(isVerificationEvent({ id: "evt_1", type: "verification.approved", timestamp: "", data: { id: "vrf_1" } }));
  assert.ok(isVerificationEvent({ id: "evt_1", type: "delivery.updated", timestamp: "", data: { id: "vrf_1" } }));
  assert.ok(!isVerificationEvent({ id: "evt_1", type: "test.ping", timestamp: "", data: {} }));
});
