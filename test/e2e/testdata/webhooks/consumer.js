// Reads a secret and requests from standard input and answers the types of those that the public library of Standard
// Webhooks believes. One that it does not believe ends it.
const { Webhook } = require("standardwebhooks");

const { secret, requests } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const webhook = new Webhook(secret);
console.log(JSON.stringify(requests.map((r) => webhook.verify(r.body, r.headers).type)));

const forged = { ...requests[0].headers, "webhook-id": "evt_forged" };
try {
  webhook.verify(requests[0].body, forged);
} catch {
  process.exit(0);
}
console.error("a forged request was believed");
process.exit(1);
