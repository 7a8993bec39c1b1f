// Loads the browser's part of the TypeScript SDK into a page. Usage: node sdk.mjs URL (which serves dist under /dist/).
import { chromium } from "playwright-core";
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync } from "node:fs";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"] });
const page = await browser.newPage();
await page.goto(process.argv[2]);

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const now = Math.floor(Date.now() / 1000);
const claims = { aud: ["app_1"], jti: "vrf_1", sub: "", iat: now, exp: now + 300, mode: "live", purpose: "login", verification: "vrf_1", amr: ["otp", "sms"] };
const text = `${part({ alg: "EdDSA", kid: "1" })}.${part(claims)}`;
const proof = `${text}.${sign(null, Buffer.from(text), privateKey).toString("base64url")}`;
const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "1" }];

const seen = await page.evaluate(
  async ({ proof, keys }) => {
    const { normalizeCode, secondsUntil, verifyProof } = await import("/dist/browser.js");
    const { Dialproof } = await import("/dist/index.js");
    const failure = (f) => Promise.resolve().then(f).then(() => "", String);
    return {
      code: normalizeCode("１２３ ٤٥٦"),
      seconds: secondsUntil(undefined),
      purpose: (await verifyProof(proof, keys, { application: "app_1" })).purpose,
      other: await failure(() => verifyProof(proof, keys, { application: "app_2" })),
      key: await failure(() => new Dialproof({ baseUrl: "http://127.0.0.1:1", key: "dp_test_1" })),
    };
  },
  { proof, keys },
);
await browser.close();
assert.equal(seen.code, "123456");
assert.equal(seen.seconds, 0);
assert.equal(seen.purpose, "login");
assert.match(seen.other, /another application/);
assert.match(seen.key, /no secret/);
console.log("ok");
