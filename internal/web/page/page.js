// What the hosted page can do better with a script: the number is spaced while it is typed, the code fills itself in,
// the wait counts down, and what became of the message is told as it happens. Without it the page works all the same.
const by = (id) => document.getElementById(id);
const { step, embed, end, proof, state } = document.body.dataset;

// ascii answers text with digits of any script as 0 to 9: each ten begin where the run of digits before them ends.
const ascii = (text) => text.replace(/\p{Nd}/gu, (d) => {
  let start = d.codePointAt(0);
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
  return (d.codePointAt(0) - start) % 10;
});

// only returns the one run of so many digits in a message that was pasted, as the server reads it; undefined for none.
const only = (text, length) => {
  for (const t of [ascii(text), ascii(text).replace(/(?<=\d)[ \p{Pd}](?=\d)/gu, "")]) {
    const found = new Set((t.match(/\d+/g) ?? []).filter((run) => run.length === length));
    if (found.size) return found.size === 1 ? [...found][0] : undefined;
  }
};

// A form is sent once: a second press would be a second message.
for (const form of document.forms) {
  form.addEventListener("submit", () => setTimeout(() => { for (const b of form.querySelectorAll("button")) b.disabled = true; }));
}
addEventListener("pageshow", (event) => event.persisted && location.reload());

// What was wrong is no longer said of what is typed anew.
for (const field of document.querySelectorAll("[aria-invalid]")) {
  field.addEventListener("input", () => { field.removeAttribute("aria-invalid"); by("fault").textContent = ""; }, { once: true });
}

// The number.

const known = new Map(); // rules by country or calling code
async function rulesOf(key) {
  if (!known.has(key)) known.set(key, fetch(`/verify/assets/country/${key}`).then((a) => (a.ok ? a.json() : null)).catch(() => null));
  return known.get(key);
}

const callingCode = (option) => option.text.match(/\+(\d+)/)[1];

// split parts international digits into calling code and the rest, by the codes of the list. No code begins with another.
function split(digits, select) {
  for (let n = 1; n <= 3; n++) {
    const code = digits.slice(0, n);
    if (code.length === n && [...select.options].some((o) => callingCode(o) === code)) return [code, digits.slice(n)];
  }
  return ["", digits];
}

const digitsOf = (text) => text.replace(/\D/g, "");

// space answers national digits as libphonenumber's rules space them, whole or in part; null when none fits. A partial number is laid over
// the shape that the format gives to a number of nines. prefix is what was dialled before it at home ("" for nothing); abroad there is none.
export function space(national, formats, prefix) {
  if (national.length < 3) return null;
  for (const whole of [true, false]) {
    for (const f of formats) {
      const leading = f.l?.[Math.min(national.length - 3, f.l.length - 1)];
      if (leading && !new RegExp(`^(?:${leading})`).test(national)) continue;
      // What a rule adds or drops nobody has typed: the digits stay those of the person. Some rules add the trunk prefix, some only brackets.
      for (const groups of f.t && prefix !== undefined ? [f.t, f.f] : [f.f]) {
        const spaced = whole ? full(national, f.p, groups) : part(national, f.p, groups);
        if (!spaced) continue;
        if (digitsOf(spaced) === (prefix ?? "") + national) return spaced;
        if (digitsOf(spaced) === national) return `${prefix} ${spaced}`;
      }
    }
  }
  return null;
}

function full(national, pattern, groups) {
  const all = new RegExp(`^(?:${pattern})$`);
  return all.test(national) ? national.replace(all, groups) : "";
}

function part(national, pattern, groups) {
  const loose = new RegExp(pattern.replace(/\[[^[\]]*\]/g, "\\d").replace(/\d(?=[^,}][^,}])/g, "\\d"));
  const nines = "999999999999999".match(loose)?.[0] ?? "";
  if (nines.length < national.length) return "";
  let own = digitsOf(groups.replace(/\$\d/g, "")).length, at = 0, out = ""; // own: digits of the trunk prefix
  for (const c of nines.replace(loose, groups)) {
    if (/\d/.test(c) && own > 0) { own--; out += c; continue; }
    if (at === national.length) break;
    out += c === "9" ? national[at++] : c;
  }
  return out;
}

// write answers what was typed, spaced.
export async function write(typed, select, rules = rulesOf) {
  const text = ascii(typed), digits = digitsOf(text);
  if (/[^\d\s()+\-./\u2010-\u2015\u00a0]/.test(text)) return typed; // for the server to judge
  if (/^\s*\+/.test(text)) {
    const [code, rest] = split(digits, select);
    if (!code || !rest) return `+${digits}`;
    const r = await rules(code);
    return `+${code} ${(r && space(rest, r.i?.length ? r.i : r.n)) ?? rest}`;
  }
  const r = await rules(select.value);
  if (!r) return text;
  const prefix = r.p && digits.startsWith(r.p) ? r.p : "";
  return space(digits.slice(prefix.length), r.n, prefix) ?? digits;
}

if (step === "number" && by("to")) {
  const to = by("to"), select = by("region");
  let turn = 0;
  const respace = async (deleting) => {
    const mine = ++turn;
    const before = ascii(to.value.slice(0, to.selectionStart)).replace(/[^\d+]/g, "").length;
    const spaced = await write(to.value, select);
    if (mine !== turn || spaced === to.value) return;
    to.value = spaced;
    let at = 0;
    for (let seen = 0; at < spaced.length && seen < before; at++) if (/[\d+]/.test(spaced[at])) seen++;
    if (!deleting && at < spaced.length && before && !/\d/.test(spaced[at])) while (at < spaced.length && !/\d/.test(spaced[at])) at++;
    if (document.activeElement === to) to.setSelectionRange(at, at);
  };
  const detect = () => {
    const text = ascii(to.value).trim();
    if (!text.startsWith("+")) return;
    const [code] = split(text.replace(/\D/g, ""), select);
    if (!code || callingCode(select.selectedOptions[0]) === code) return;
    rulesOf(code).then((r) => { if (r) select.value = r.c; });
  };
  to.addEventListener("input", (event) => { detect(); respace(event.inputType?.startsWith("delete")); });
  select.addEventListener("change", () => {
    const text = ascii(to.value).trim();
    if (text.startsWith("+")) to.value = split(text.replace(/\D/g, ""), select)[1];
    respace(false);
  });
  if (to.value) { detect(); respace(false); }
}

// The code.

if (step === "code") {
  const code = by("code"), form = code.form;
  code.addEventListener("input", () => {
    const at = code.selectionStart;
    let clean = ascii(code.value).replace(/[\s\p{Cf}\p{Pd}\u2212]/gu, "");
    if (code.dataset.length && /\D/.test(clean)) clean = only(code.value, Number(code.dataset.length)) ?? clean;
    if (clean !== code.value) { code.value = clean; code.setSelectionRange(at, at); }
  });
  if ("OTPCredential" in window) {
    const stop = new AbortController();
    form.addEventListener("submit", () => stop.abort());
    navigator.credentials.get({ otp: { transport: ["sms"] }, signal: stop.signal })
      .then((otp) => { if (otp?.code) { code.value = otp.code; form.requestSubmit(form.querySelector("[value=check]")); } })
      .catch(() => {}); // it is a help, not a need
  }

  const wait = by("wait");
  let until = 0;
  const count = () => {
    const left = Math.max(Math.ceil((until - performance.now()) / 1000), 0);
    wait.textContent = left ? wait.dataset.text.replace("{seconds}", left) : "";
    // The buttons stay where a keyboard finds them, and say why nothing happens yet. The seconds are not announced one by one.
    for (const b of form.querySelectorAll(".quiet")) b.setAttribute("aria-disabled", left > 0);
    if (left) setTimeout(count, 250);
  };
  const begin = (seconds) => { until = performance.now() + seconds * 1000; count(); };
  if (wait) begin(Number(wait.dataset.seconds));
  for (const b of form.querySelectorAll(".quiet")) {
    b.addEventListener("click", (event) => {
      if (b.getAttribute("aria-disabled") !== "true") return;
      event.preventDefault();
      by("say").textContent = wait.textContent;
    });
  }

  // How it stands: asked often at first, then seldom, and not while nobody looks.
  let pause = 1000;
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(`${location.pathname}/status`);
        if (answer.status === 404) return location.reload();
        const now = await answer.json();
        if (now.status !== "pending") return location.reload();
        for (const id of ["live", "help"]) if (by(id) && by(id).textContent !== now[id]) by(id).textContent = now[id];
        by("valid").textContent = now.valid;
        if (wait && Math.abs(now.wait * 1000 - (until - performance.now())) > 2000 && now.wait) begin(now.wait);
      } catch { /* the next one may get through */ }
    }
    pause = Math.min(pause * 1.3, 10_000);
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
}

// In a frame of the widget.

if (embed && window.parent !== window) {
  const tell = (type, more = {}) => window.parent.postMessage({ type: `dialproof:${type}`, ...more }, embed);
  new ResizeObserver(() => tell("size", { height: Math.ceil(document.documentElement.getBoundingClientRect().height) })).observe(document.documentElement);
  tell(end || "open", { proof, state });
  // A frame is not given the focus when it loads; after a step of the person it belongs to the next one.
  if (step !== "number") {
    const next = by("code") ?? document.querySelector("h1");
    if (!by("code")) next.tabIndex = -1;
    next.focus({ preventScroll: true });
  }
}
