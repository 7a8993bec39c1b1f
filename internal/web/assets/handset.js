// The handset page: on one side an application that verifies a number through the public API, on the other
// the phone that the message arrives on.

const key = document.querySelector('meta[name="dialproof-key"]').content;
const by = (id) => document.getElementById(id);
let current = null; // the verification under way
let countdown = 0;

// call speaks to the API as an application's server would.
async function call(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const data = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(words(data)), { problem: data });
  return data;
}

// words answers what a problem says to a person.
function words(problem) {
  const first = problem.errors?.[0];
  if (first) return `${first.field === "to" ? "The number" : first.field} ${first.detail}.`;
  return `${sentence(problem.detail ?? problem.title)}`;
}

const sentence = (s) => s.charAt(0).toUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? "" : ".");

// show turns to one step of the three.
function show(step) {
  by("start").hidden = step !== "number";
  by("check").hidden = step !== "code";
  by("done").hidden = step !== "done";
  const order = ["number", "code", "done"];
  for (const mark of document.querySelectorAll("[data-step]")) {
    mark.classList.toggle("on", order.indexOf(mark.dataset.step) <= order.indexOf(step));
  }
}

function fault(field, text) {
  by(`${field}-error`).textContent = text;
  by(field).setAttribute("aria-invalid", String(Boolean(text)));
  if (text) by(field).focus();
}

// begun shows the verification that was answered.
function begun(v) {
  current = v;
  by("masked").textContent = v.to;
  by("done-masked").textContent = v.to;
  watch(v);
  by("code-help").textContent = `${v.code_length} characters, valid until ${time(v.expires_at)}.`;
  tick();
}

const time = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

// tick counts down to the moment when another message may be sent.
function tick() {
  clearTimeout(countdown);
  const button = by("resend");
  if (!current?.resend_at) {
    button.disabled = true;
    button.textContent = "No more messages for this try";
    return;
  }
  const left = Math.ceil((new Date(current.resend_at) - Date.now()) / 1000);
  button.disabled = left > 0;
  button.textContent = left > 0 ? `Send it again in ${left} s` : "Send it again";
  if (left > 0) countdown = setTimeout(tick, 1000);
}

by("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  fault("to", "");
  try {
    begun(await call("/v1/verifications", { to: by("to").value, purpose: "registration" }));
    show("code");
    by("code").value = "";
    fault("code", "");
    by("code").focus();
    by("status").textContent = "";
  } catch (error) {
    fault("to", error.message);
  }
});

by("check").addEventListener("submit", async (event) => {
  event.preventDefault();
  fault("code", "");
  try {
    const answer = await call(`/v1/verifications/${current.id}/check`, { code: by("code").value });
    if (answer.result === "approved") {
      show("done");
      by("done-title").focus();
      return;
    }
    by("code").select();
    fault("code", {
      incorrect: `That is not the code. ${answer.attempts_left === 1 ? "One try is" : `${answer.attempts_left} tries are`} left.`,
      exhausted: "That was the last try. Start again with the number.",
      expired: "The code has expired. Start again with the number.",
      canceled: "A newer code was asked for. Start again with the number.",
      used: "This code was used before.",
    }[answer.result]);
  } catch (error) {
    fault("code", error.message);
  }
});

by("resend").addEventListener("click", async () => {
  try {
    begun(await call(`/v1/verifications/${current.id}/resend`));
    by("status").textContent = "The code is on its way once more.";
    by("code").focus();
  } catch (error) {
    fault("code", error.message);
  }
});

for (const id of ["change", "another"]) {
  by(id).addEventListener("click", () => {
    show("number");
    by("status").textContent = "";
    by("to").focus();
    by("to").select();
  });
}

// The hosted page.

by("hosted").addEventListener("click", async () => {
  const state = crypto.randomUUID();
  sessionStorage.setItem("state", state);
  try {
    location.assign((await call("/v1/links", { purpose: "registration", return_url: location.origin + location.pathname, state })).url);
  } catch (error) {
    by("status").textContent = error.message;
  }
});

// came shows with what a person came back. A server would check the signature too; docs/proofs and the SDKs say how.
function came() {
  const back = new URLSearchParams(location.search);
  if (!back.has("state")) return;
  const same = back.get("state") === sessionStorage.getItem("state");
  by("status").textContent = back.has("proof") ? "The person came back from the hosted page with a proof:" : `The person came back from the hosted page: ${back.get("error")}.`;
  if (back.has("proof")) {
    by("came").hidden = false;
    const part = back.get("proof").split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    by("came").textContent = JSON.stringify({ state_is_ours: same, ...JSON.parse(atob(part)) }, null, 2);
  }
  history.replaceState(null, "", location.pathname); // a proof has no business in the history
}

came();

// The phone.

const seen = new Set();
let silent = 0;

// watch says what to do next when nothing arrives within five seconds.
function watch(v) {
  clearTimeout(silent);
  by("nothing").textContent = "";
  silent = setTimeout(async () => {
    const answer = await fetch(`/v1/verifications/${v.id}`, { headers: { Authorization: `Bearer ${key}` } });
    const last = (await answer.json()).deliveries?.at(-1);
    by("nothing").textContent = `Nothing has arrived yet. ${last ? `The delivery by ${last.channel} is ${last.status}${last.code ? ` (${last.code})` : ""}. ` : ""}The server's log says more, and so does GET /v1/verifications/${v.id}.`;
  }, 5000);
}

function arrive(message) {
  const mark = `${message.at} ${message.to} ${message.text}`;
  if (seen.has(mark)) return;
  seen.add(mark);
  clearTimeout(silent);
  by("nothing").textContent = "";
  const item = by("message").content.cloneNode(true);
  item.querySelector(".from").textContent = message.from || "Dialproof";
  item.querySelector("time").textContent = time(message.at);
  item.querySelector("time").dateTime = message.at;
  item.querySelector(".text").textContent = message.text;
  item.querySelector(".to").textContent = `to ${message.to}`;
  item.querySelector(".channel").textContent = message.channel;
  const code = message.text.match(/(?<![A-Z0-9])(?=[A-Z]*[0-9])[A-Z0-9]{6,10}(?![A-Z0-9])/)?.[0];
  const fill = item.querySelector(".fill");
  if (!code) fill.remove();
  else fill.addEventListener("click", () => {
    if (by("check").hidden) return;
    by("code").value = code;
    by("code").focus();
  });
  by("messages").prepend(item);
}

async function load() {
  const answer = await fetch("/dev/messages");
  for (const message of (await answer.json()).reverse()) arrive(message);
}

function listen() {
  const events = new EventSource("/dev/messages/events");
  events.onopen = () => { by("live").textContent = "connected"; load(); };
  events.onerror = () => { by("live").textContent = "connecting"; };
  events.onmessage = (event) => arrive(JSON.parse(event.data));
}

function clock() {
  by("clock").textContent = time(Date.now());
  setTimeout(clock, 10_000);
}

clock();
listen();
