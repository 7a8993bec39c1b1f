// Plays scenarios.yaml through the TypeScript SDK. Usage: node runner.mjs SCENARIOS SETTINGS-AS-JSON
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Dialproof, DialproofConnectionError, DialproofError, isVerificationEvent, ProofError, ProofVerifier, verifyWebhook, WebhookError } from "../../sdk/typescript/dist/index.js";
import { codeIn, Handset } from "../../sdk/typescript/dist/testing.js";

const yaml = createRequire(new URL("../../sdk/typescript/", import.meta.url))("yaml");
const stage = JSON.parse(process.argv[3]);
let taken = 0;

async function ask(path, body) {
  const response = await fetch(stage.url + path, body && { method: "POST", body: JSON.stringify(body) });
  const text = await response.text();
  return text ? JSON.parse(text) : undefined;
}

function field(value, path) {
  return path.split(".").reduce((v, part) => v?.[part], value) ?? null;
}

class Player {
  saved = { word: stage.word, application: stage.application, secret: stage.secret, event_secret: stage.event_secret };
  client = new Dialproof({ baseUrl: stage.url, key: stage.key });
  handset = new Handset(stage.url);
  verifiers = new Map();

  /** What a scenario means by a value. */
  value(v) {
    if (Array.isArray(v)) return v.map((x) => this.value(x));
    if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, this.value(x)]));
    if (typeof v === "string" && /^\$[^{]/.test(v)) return this.name(v.slice(1));
    if (typeof v === "string") return v.replace(/\$\{([^}]+)\}/g, (_, path) => this.name(path));
    return v;
  }

  name(path) {
    const first = path.split(".")[0];
    if (first.startsWith("number") && !(first in this.saved)) this.saved[first] = stage.numbers[taken++];
    return field(this.saved, path);
  }

  async do({ do: what, with: given = {} }) {
    const { idempotency_key: idempotencyKey, ...args } = this.value(given);
    const { id, code, to, ...rest } = args;
    switch (what) {
      case "start":
        return this.client.start(args, { idempotencyKey });
      case "check":
        return this.client.check(id, code, rest);
      case "check_by_number":
        return this.client.checkByNumber(args);
      case "resend":
      case "cancel":
        return this.client[what](id, rest);
      case "get":
        return this.client.get(id);
      case "list": {
        const ids = [];
        for await (const v of this.client.list(args)) ids.push(v.id);
        return { count: ids.length, first: ids[0], last: ids.at(-1) };
      }
      case "list_page":
        return this.client.listPage(args);
      case "client": {
        const { timeout, ...options } = args;
        this.client = new Dialproof({ baseUrl: stage.url, key: stage.key, timeout: timeout && timeout * 1000, ...options });
        return;
      }
      case "code":
        return this.handset.code(to);
      case "messages":
        return (await this.handset.messages(to)).length;
      case "wrong":
        return String((Number(code[0]) + 1) % 10) + code.slice(1);
      case "code_in":
        return codeIn(args.text);
      case "fault":
        return ask("/stage/fault", args);
      case "seen":
        return ask("/stage/seen");
      case "hook":
        return ask("/stage/hook?to=" + encodeURIComponent(to));
      case "event":
        return ask(`/stage/event?${new URLSearchParams({ type: args.type, id })}`);
      case "webhook": {
        const event = await verifyWebhook(args.body, { "Webhook-Id": id, "webhook-timestamp": args.timestamp, "webhook-signature": args.signature }, args.secrets, args.now && new Date(args.now * 1000));
        return { ...event, verification: isVerificationEvent(event) ? event.data : null };
      }
      case "proof": {
        const { proof, application = stage.application, live_only: liveOnly, ...want } = args;
        const name = application + liveOnly;
        if (!this.verifiers.has(name)) this.verifiers.set(name, new ProofVerifier({ baseUrl: stage.url, application, testKeys: !liveOnly }));
        return this.verifiers.get(name).verify(proof, want);
      }
    }
    throw new Error(`no such step: ${what}`);
  }
}

function refusal(error) {
  if (error instanceof DialproofError) {
    const { code, status, limit, retryAfter: retry_after, requestId: request_id, errors } = error;
    return { code, status, limit, retry_after, request_id, errors };
  }
  if (error instanceof DialproofConnectionError) return { timeout: error.timeout };
  if (error instanceof WebhookError) return { webhook: true };
  if (error instanceof ProofError) return { proof: true };
  throw error;
}

/** Fails unless the answer is as expected. */
function hold(want, got, where) {
  const must = (ok) => {
    if (!ok) throw new Error(`${where} is ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  };
  if (want && typeof want === "object") for (const [path, w] of Object.entries(want)) hold(w, field(got, path), `${where}.${path}`);
  else if (want === "*") must(got !== null && got !== "");
  else if (/^>[\d.]+$/.test(want)) must(got > Number(want.slice(1)));
  else must(got === want);
}

async function play(scenario) {
  const player = new Player();
  await ask("/stage/fault", {});
  for (const [n, step] of scenario.steps.entries()) {
    const where = `step ${n + 1}, ${step.do}`;
    let got;
    try {
      got = await player.do(step);
    } catch (error) {
      if (!step.refused) throw new Error(`${where}: ${error}`);
      hold(player.value(step.refused), refusal(error), where);
      continue;
    }
    if (step.refused) throw new Error(`${where} passed: ${JSON.stringify(got)}`);
    if (step.save) player.saved[step.save] = got;
    if ("expect" in step) hold(player.value(step.expect), got, where);
  }
}

for (const scenario of yaml.parse(readFileSync(process.argv[2], "utf8"), { merge: true }).scenarios) {
  try {
    await play(scenario);
    console.log(`ok ${scenario.name}`);
  } catch (error) {
    console.log(`not ok ${scenario.name}: ${error}`.replaceAll("\n", " "));
  }
}
