// Drives the hosted page and the widget as people would: with a thumb, a keyboard, without a script, from right to left.
// Usage: node hosted.mjs URL KEY NUMBERS PICTURES. It prints one line for each thing seen and exits with 1 at the first that is not.
import { chromium } from "playwright-core";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [url, key, numbers, pictures] = process.argv.slice(2);
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const phone = { width: 360, height: 740 }, desk = { width: 1120, height: 760 };
let next = 100;
const fresh = () => `+447700900${next++}`; // reserved for fiction

const begun = Date.now();

function see(what, ok, detail = "") {
  console.log(`${ok ? "ok" : "NOT OK"} (${((Date.now() - begun) / 1000).toFixed(1)} s): ${what}${ok ? "" : ` ${detail}`}`);
  if (!ok) throw new Error(what);
}

// press presses a button in a frame from within the page: while the frame changes its height, a button moves away from
// under a pointer, and a key waits for the frame.
const press = (button) => button.evaluate((b) => b.click());

// link makes a link as an application's server would.
async function link(more = {}) {
  const answer = await fetch(`${url}/v1/links`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ purpose: "registration", state: "st 1", ...(more.embed ? {} : { return_url: `${url}/dev/handset` }), ...more }),
  });
  if (answer.status !== 201) throw new Error(await answer.text());
  return answer.json();
}

async function open(options, more) {
  const context = await browser.newContext({ reducedMotion: "reduce", locale: "en-GB", ...options });
  const page = await context.newPage();
  const seen = { faults: [], requests: [], bytes: 0 };
  page.on("pageerror", (error) => seen.faults.push(String(error)));
  page.on("console", (m) => m.type() === "error" && !/status of 4(22|29|04)/.test(m.text()) && seen.faults.push(m.text()));
  page.on("request", (r) => seen.requests.push(r.url()));
  page.on("response", async (r) => { const sizes = await r.request().sizes().catch(() => null); seen.bytes += sizes ? sizes.responseBodySize + sizes.responseHeadersSize : 0; });
  if (options.init) await page.addInitScript(options.init);
  const made = await link(more);
  await page.goto(made.url);
  return { page, context, seen, made };
}

// shown answers the newest message to a number, as the person reads it on the handset.
async function shown(number, channel = "sms") {
  for (let n = 0; n < 200; n++) {
    const all = await (await fetch(`${url}/dev/messages?to=${encodeURIComponent(number)}`)).json();
    const found = all.find((m) => m.channel === channel);
    if (found) return { ...found, code: found.text.replace(/(?<=\d),? (?=\d)/g, "").match(/\d{6}/)[0] };
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`no message by ${channel} to ${number}`);
}

// until asks again and again, for at most ten seconds.
async function until(ok) {
  for (let n = 0; n < 200; n++) {
    if (await ok()) return true;
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}

const wrong = (code) => (code === "000000" ? "111111" : "000000");

// clean holds a page against axe-core, all rules of WCAG 2.2 A and AA and the best practices.
async function clean(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  see(`axe finds nothing: ${what}`, found.violations.length === 0, JSON.stringify(found.violations.map((v) => [v.id, v.nodes.map((n) => n.html)])));
}

async function narrow(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  see(`nothing is cut off: ${what}`, wide <= 0, `${wide} px too wide`);
}

// stands answers what a field holds, once that is what it should or five seconds are over: the page may fetch a country's rules first.
async function stands(page, field, want) {
  await page.waitForFunction(([f, w]) => document.querySelector(f).value === w, [field, want], { timeout: 5000 }).catch(() => {});
  return page.locator(field).inputValue();
}

const picture = (page, name) => page.screenshot({ path: `${pictures}/hosted-${name}.png` });
const start = (page) => page.locator("[value=start]").click();
const check = (page) => page.locator("[value=check]").click();
const fault = (page) => page.locator("#fault").innerText();

// A person with a phone: the number is spaced, the message is told of, a wrong code is told in words, and a code with a space in it is pasted.
async function thumb() {
  const number = fresh();
  const { page, context, seen, made } = await open({ viewport: phone, colorScheme: "light", deviceScaleFactor: 2 });
  see("the country is that of the browser", (await page.locator("#region").inputValue()) === "GB");
  await page.locator("#to").pressSequentially(`0${number.slice(3)}`);
  const typed = await stands(page, "#to", `07700 ${number.slice(-6)}`);
  see("the number is spaced while it is typed", typed === `07700 ${number.slice(-6)}`, typed);
  await page.keyboard.press("Backspace");
  const deleted = await stands(page, "#to", `07700 ${number.slice(-6, -1)}`);
  see("and while it is deleted", deleted === `07700 ${number.slice(-6, -1)}`, deleted);
  await page.locator("#to").fill("");
  await page.locator("#to").pressSequentially("+1 20");
  await page.waitForFunction(() => document.getElementById("region").value === "US");
  see("a calling code chooses the country", true);
  await page.locator("#to").fill("12");
  await start(page);
  see("a bad number is told in words", /not a valid phone number/.test(await fault(page)));
  see("the field is marked and described", (await page.locator("#to").getAttribute("aria-invalid")) === "true" && (await page.locator("#to").getAttribute("aria-describedby")) === "fault");
  see("what was typed stays", (await page.locator("#to").inputValue()) === "12");
  await clean(page, "a bad number");
  await page.locator("#to").fill(number);
  await picture(page, "number");
  await narrow(page, "the number at 360 px");
  await clean(page, "the number, light");
  await start(page);
  await page.locator("#code").waitFor();
  see("the focus is in the code field", await page.evaluate(() => document.activeElement.id === "code"));
  see("the code field is one for one-time codes", await page.evaluate(() => document.getElementById("code").matches("[autocomplete=one-time-code][inputmode=numeric]")));
  const { code } = await shown(number);
  await page.getByText("Message delivered.").waitFor();
  see("what became of the message is told as it happens", true);
  see("the number is masked", /\+44•+/.test(await page.locator("main").innerText()) && !page.url().includes(number.slice(4)));
  await page.locator("#code").fill(wrong(code));
  await check(page);
  see("a wrong code is told in words", (await fault(page)) === "Wrong code. 4 attempts left.", await fault(page));
  await clean(page, "a wrong code");
  await page.reload();
  see("a reload compares nothing again", (await fault(page)) === "Wrong code. 4 attempts left.");
  await page.locator("#code").evaluate((field, text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    field.focus();
    if (field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }))) document.execCommand("insertText", false, text);
  }, `${code.slice(0, 3)} ${code.slice(3)}`);
  see("a pasted code loses its space", (await stands(page, "#code", code)) === code);
  for (const text of [`${code} is your Shop code`, `G-${code}`, `Code: ${code.slice(0, 3)} ${code.slice(3)}. Valid for 5 min.`]) {
    await page.fill("#code", text);
    see(`of a pasted message the code stays: ${text.replace(/\d/g, "#")}`, (await page.inputValue("#code")) === code);
  }
  await picture(page, "code");
  await narrow(page, "the code at 360 px");
  await page.setViewportSize({ width: 320, height: 640 });
  await narrow(page, "the code at 320 px");
  await page.setViewportSize(phone);
  await clean(page, "the code, light");
  await check(page);
  await page.waitForURL(/\/dev\/handset/);
  await page.getByText("came back from the hosted page with a proof").waitFor();
  const claims = JSON.parse(await page.locator("#came").innerText());
  see("the person is back with a proof of this link", claims.link === made.id && claims.purpose === "registration" && claims.mode === "test", JSON.stringify(claims));
  see("the proof has no number in it", !JSON.stringify(claims).includes(number.slice(1)));
  await page.goBack();
  await page.getByText("Your number is verified").waitFor();
  see("who goes back finds it done, and the way to the application", (await page.getByRole("link", { name: "Back to Dev Shop" }).getAttribute("href")).includes("proof="));
  await picture(page, "done");
  await clean(page, "done");
  const again = await context.newPage();
  await again.goto(made.url);
  see("a link that was used says so before it asks", /already been used/.test(await again.locator("h1").innerText()) && (await again.locator("input").count()) === 0);
  await clean(again, "a link that is over");
  see("no error in the console", seen.faults.length === 0, seen.faults.join("; "));
  see("no request to anybody else", seen.requests.every((r) => r.startsWith(url) || r.startsWith("data:")), seen.requests.join("; "));
  see("no cookie", (await context.cookies()).length === 0);
  await context.close();
}

// At a desk, by keyboard alone, in the dark; the budgets of the page are counted here.
async function keyboard() {
  const number = fresh();
  const { page, context, seen } = await open({ viewport: desk, colorScheme: "dark", init: () => {
    window.shift = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.shift += e.value; }).observe({ type: "layout-shift", buffered: true });
  } });
  await page.waitForFunction(() => document.activeElement?.id === "to"); // nobody types before they see where
  await page.keyboard.type(number.slice(0, 6));
  await page.waitForFunction(() => document.getElementById("to").value.length > 6);
  await page.keyboard.type(number.slice(6));
  await page.waitForLoadState("networkidle");
  see(`the page takes ${seen.requests.length} requests, at most 6`, seen.requests.length <= 6, seen.requests.join("; "));
  see(`the page takes ${seen.bytes} bytes, below 50 kB`, seen.bytes > 10_000 && seen.bytes < 50_000);
  see("nothing jumps", (await page.evaluate(() => window.shift)) === 0);
  await clean(page, "the number, dark");
  await page.keyboard.press("Enter");
  await page.locator("#code").waitFor();
  const { code } = await shown(number);
  await page.getByText("Message delivered.").waitFor();
  see("nothing jumps while the message is told of", (await page.evaluate(() => window.shift)) === 0);
  await picture(page, "dark");
  await clean(page, "the code, dark");
  await page.keyboard.type([...code].map((d) => String.fromCharCode(d.charCodeAt(0) - 48 + 0xff10)).join("")); // full-width digits
  see("full-width digits are digits", (await stands(page, "#code", code)) === code);
  const reached = [];
  for (let n = 0; n < 5; n++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.value));
  }
  see("the keyboard reaches every button that can be pressed", ["check", "change", "cancel"].every((b) => reached.includes(b)), reached.join());
  see(`both steps take ${seen.bytes} bytes, below 50 kB`, seen.bytes < 50_000);
  await page.locator("#code").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/dev\/handset/);
  see("verified by keyboard alone", true);
  await context.close();
}

// Waiting: the countdown survives a reload, and then a call comes instead.
async function waiting() {
  const number = fresh();
  const { page, context } = await open({ viewport: desk, colorScheme: "light" });
  await page.locator("#to").fill(number);
  await start(page);
  const left = async () => Number((await page.locator("#wait").innerText()).match(/\d+/)?.[0] ?? 0);
  await page.locator("#code").waitFor();
  const first = await left();
  see("the wait is shown", first > 20 && first <= 30, String(first));
  const waits = (name) => page.locator(`[value=${name}]`).evaluate((b) => b.getAttribute("aria-disabled") === "true" && b.getAttribute("aria-describedby") === "wait");
  see("until then the buttons say that they wait, and for how long", await waits("resend") && await waits("call"));
  const at = page.url();
  await page.locator("[value=resend]").click({ force: true });
  see("whoever presses one hears the seconds once", /You can request another code in \d+ s\./.test(await page.locator("#say").innerText()) && page.url() === at);
  await page.waitForTimeout(1200);
  await page.reload();
  const second = await left();
  see("the countdown survives a reload", second > 0 && second < first, `${first}, ${second}`);
  await page.locator("[value=call][aria-disabled=false]").waitFor({ timeout: 40_000 });
  await page.locator("[value=call]").click();
  await page.getByText("We are calling").waitFor();
  const call = await shown(number, "voice");
  see("a call comes instead, with the same code", call.code === (await shown(number)).code, call.text);
  see("and the next wait is longer", (await left()) > 40);
  await page.locator("#code").fill(call.code);
  await check(page);
  await page.waitForURL(/\/dev\/handset/);
  see("the code of the call is approved", true);
  await context.close();
}

// Without a script, the whole way.
async function scriptless() {
  const number = fresh();
  const { page, context } = await open({ viewport: phone, javaScriptEnabled: false });
  await page.locator("#to").fill("nothing");
  await start(page);
  see("without a script a bad number is told", /not a valid/.test(await fault(page)));
  await page.locator("#region").selectOption("GB");
  await page.locator("#to").fill(`0${number.slice(3)}`);
  await start(page);
  const { code } = await shown(number);
  see("without a script there is a way to look again", await page.getByRole("link", { name: "Refresh" }).isVisible());
  await page.getByRole("link", { name: "Refresh" }).click();
  see("and it tells what became of the message", /delivered/.test(await page.locator("#live").innerText()));
  await page.locator("[value=resend]").click();
  see("asking too early is told in words", /You can request another code in \d+ s\./.test(await fault(page)), await fault(page));
  await page.locator("#code").fill(wrong(code));
  await check(page);
  see("without a script a wrong code is told", /4 attempts left/.test(await fault(page)));
  await picture(page, "scriptless");
  await page.locator("#code").fill(` ${code.slice(0, 3)}-${code.slice(3)} `);
  await check(page);
  see("without a script the person is back with state and proof", /\/dev\/handset\?proof=ey[\w.-]+&state=st\+1$/.test(page.url()), page.url());
  await context.close();
}

// From right to left, with the digits of the language.
async function rightToLeft() {
  const number = fresh();
  const { page, context } = await open({ viewport: phone, locale: "ar-EG", colorScheme: "light", deviceScaleFactor: 2 }, { transaction: { amount: "39.90", currency: "EUR", payee: "Acme Ltd" }, purpose: "transaction" });
  see("the language is that of the browser", await page.evaluate(() => document.documentElement.lang === "ar" && document.documentElement.dir === "rtl"));
  see("the country too", (await page.locator("#region").inputValue()) === "EG");
  await page.locator("#region").selectOption("GB");
  await page.locator("#to").pressSequentially(`0${number.slice(3)}`.replace(/\d/g, (d) => String.fromCharCode(0x660 + Number(d))));
  const arabic = await stands(page, "#to", `07700 ${number.slice(-6)}`);
  see("Arabic digits are digits", arabic === `07700 ${number.slice(-6)}`, arabic);
  await start(page);
  const { code, text } = await shown(number);
  see("the payment is on the page and in the message", /39\.90.*EUR.*Acme Ltd/.test(await page.locator(".payment").innerText()) && text.includes("39.90"), text);
  await picture(page, "rtl");
  await narrow(page, "right to left at 360 px");
  await clean(page, "right to left");
  await page.locator("#code").fill(code.replace(/\d/g, (d) => String.fromCharCode(0x660 + Number(d))));
  await check(page);
  await page.waitForURL(/\/dev\/handset/);
  see("verified from right to left, for this payment", true);
  await context.close();
}

// Ways that end elsewhere: another number, cancel, too many wrong codes, a number that the link names.
async function otherEnds() {
  const number = fresh();
  const { page, context } = await open({ viewport: phone, colorScheme: "dark", deviceScaleFactor: 2 });
  await page.locator("#to").fill(fresh());
  await start(page);
  await page.getByRole("button", { name: "Change the number" }).click();
  await page.locator("#to").fill(number);
  await start(page);
  const { code } = await shown(number);
  see("the number can be changed", (await page.locator("main").innerText()).includes(number.slice(-3)));
  for (let n = 0; n < 5; n++) {
    await page.locator("#code").fill(wrong(code));
    await check(page);
  }
  see("too many wrong codes are told in words", (await page.locator("h1").innerText()) === "Too many wrong codes");
  see("the way back says failed", (await page.getByRole("link", { name: "Back to Dev Shop" }).getAttribute("href")).includes("error=failed&state=st+1"));
  await picture(page, "failed");
  await clean(page, "failed");
  await page.getByRole("button", { name: "Start again" }).click();
  see("it can be started again", await page.locator("#to").isVisible());
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("came back from the hosted page: canceled").waitFor();
  see("cancel leads back", true);
  await context.close();

  const given = fresh();
  const fixed = await open({ viewport: phone }, { to: given });
  see("a number that the link names is masked and cannot be changed", (await fixed.page.locator("#to").count()) === 0 && (await fixed.page.locator(".fixed").innerText()).endsWith(given.slice(-3)));
  await start(fixed.page);
  await fixed.page.locator("#code").waitFor();
  see("neither later", (await fixed.page.locator("[value=change]").count()) === 0);
  await fixed.context.close();

  const broken = await open({ viewport: phone });
  const answer = await broken.page.goto(`${broken.made.url.slice(0, -4)}AAAA`);
  see("a link that was tampered with leads nowhere", answer.status() === 404 && /no longer valid/.test(await broken.page.locator("h1").innerText()));
  await broken.context.close();
}

// The browser fills the code in where it can (WebOTP, here played by a stand-in), and a form that is sent twice sends one message.
async function autofill() {
  const number = fresh();
  const { page, context } = await open({ viewport: phone, init: () => {
    window.OTPCredential = class {};
    navigator.credentials.get = (o) => (o.otp?.transport[0] === "sms" ? new Promise((done) => { window.receive = (code) => done({ code }); }) : Promise.reject());
  } });
  await page.locator("#to").fill(number);
  await page.evaluate(() => { const b = document.querySelector("[value=start]"), f = b.form; f.requestSubmit(b); f.requestSubmit(b); });
  await page.locator("#code").waitFor();
  const { code } = await shown(number);
  see("a form that is sent twice sends one message", (await (await fetch(`${url}/dev/messages?to=${encodeURIComponent(number)}`)).json()).length === 1);
  await page.evaluate((c) => window.receive(c), code);
  await page.waitForURL(/\/dev\/handset/);
  see("a code that fills itself in is checked at once", true);
  await context.close();
}

// libphonenumber's own examples are spaced as libphonenumber spaces them. Two countries have rules that add or move digits while one types.
async function spacing() {
  const { page, context } = await open({ viewport: desk });
  const all = JSON.parse(readFileSync(numbers, "utf8"));
  const wrongly = await page.evaluate(async (list) => {
    const { write } = await import("/verify/assets/page.js");
    const select = document.getElementById("region"), out = [];
    for (const { Country, Typed, Want } of list) {
      select.value = Country;
      const got = await write(Typed, select);
      if (got !== Want) out.push(`${Country} ${Typed}: ${got}, want ${Want}`);
    }
    return out;
  }, all);
  see(`${all.length} numbers of all countries are spaced by libphonenumber's rules`, all.length > 450 && wrongly.length <= 2 && wrongly.every((w) => /^(BY|AR) /.test(w)), wrongly.join("; "));
  await context.close();
}

// The widget on a page of another origin, which hears the end and believes nobody else.
async function widget() {
  const made = {};
  const host = createServer((request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(`<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Shop</title><script type="module" src="${url}/widget.js"></script>
      <main><h1>Shop</h1><dialproof-verify label="Verify" style="--dialproof-accent: rebeccapurple" src="${made.url}"></dialproof-verify></main>
      <script>window.heard = []; for (const t of ["verified", "failed", "canceled"]) document.addEventListener(t, (e) => heard.push([t, e.detail]));</script>`);
  });
  await new Promise((done) => host.listen(0, "127.0.0.1", done));
  const origin = `http://localhost:${host.address().port}`;
  try {
    const number = fresh();
    Object.assign(made, await link({ embed: origin }));
    const context = await browser.newContext({ viewport: { width: 400, height: 760 }, locale: "en-GB", reducedMotion: "reduce", deviceScaleFactor: 2 });
    const page = await context.newPage();
    await page.goto(origin);
    const frame = page.frameLocator("iframe");
    await frame.locator("#to").fill(number);
    see("the widget has the page's colour", (await frame.locator("[value=start]").evaluate((b) => getComputedStyle(b).backgroundColor)) === "rgb(102, 51, 153)");
    await clean(page, "the widget");
    await press(frame.locator("[value=start]"));
    await frame.locator("#code").waitFor();
    see("the colour stays from step to step", (await frame.locator("[value=check]").evaluate((b) => getComputedStyle(b).backgroundColor)) === "rgb(102, 51, 153)");
    see("the frame is as high as what is in it", await until(() => page.evaluate(() => { const f = document.querySelector("dialproof-verify").shadowRoot.querySelector("iframe"); return f.clientHeight > 430 && f.clientHeight < 700; })));
    await page.evaluate((to) => {
      window.postMessage({ type: "dialproof:verified", proof: "forged" }, "*"); // not out of the frame
      window.dispatchEvent(new MessageEvent("message", { data: { type: "dialproof:verified", proof: "forged" }, origin: to }));
    }, url);
    await page.screenshot({ path: `${pictures}/widget.png` });
    const { code } = await shown(number);
    await frame.locator("#code").fill(code);
    await press(frame.locator("[value=check]"));
    see("the page hears the end", await until(() => page.evaluate(() => window.heard.length > 0)), await frame.locator("main").innerText());
    const heard = await page.evaluate(() => window.heard);
    see("the page hears the proof, once, and believes no other", heard.length === 1 && heard[0][0] === "verified" && heard[0][1].proof.startsWith("ey") && heard[0][1].state === "st 1", JSON.stringify(heard));

    Object.assign(made, await link({ embed: origin }));
    await page.goto(origin);
    await press(frame.getByRole("button", { name: "Cancel" }));
    see("the page hears that it was canceled", await until(() => page.evaluate(() => window.heard.some(([t]) => t === "canceled"))));

    Object.assign(made, await link({ embed: "http://localhost:1" }));
    await page.goto(origin);
    await until(() => page.frames().length > 1);
    await page.waitForLoadState("networkidle");
    see("no other page may show the frame", (await page.frames()[1]?.locator("#to").count().catch(() => 0)) === 0);
    await context.close();
  } finally {
    host.close();
  }
}

// The wrappers: what React and Vue make of the widget, in one page.
async function wrappers() {
  const at = (name) => fileURLToPath(new URL(`../../sdk/widget/${name}`, import.meta.url));
  const made = [];
  const host = createServer((request, response) => {
    if (request.url === "/app.js") {
      response.setHeader("Content-Type", "text/javascript");
      return response.end(app);
    }
    response.setHeader("Content-Type", "text/html");
    response.end(`<!doctype html><html lang="en"><title>Shop</title><div id="react"></div><div id="vue"></div><script>window.links = ${JSON.stringify(made)}; window.heard = [];</script><script type="module" src="/app.js"></script>`);
  });
  await new Promise((done) => host.listen(0, "127.0.0.1", done));
  const app = (await build({
    bundle: true, write: false, format: "esm", define: { "process.env.NODE_ENV": '"production"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
    nodePaths: [fileURLToPath(new URL("node_modules", import.meta.url))],
    stdin: { resolveDir: fileURLToPath(new URL(".", import.meta.url)), contents: `
      import { createElement } from "react"; import { createRoot } from "react-dom/client"; import { createApp, h } from "vue";
      import { DialproofVerify as ForReact } from ${JSON.stringify(at("react.js"))}; import { DialproofVerify as ForVue } from ${JSON.stringify(at("vue.js"))};
      const hear = (who, what) => (detail) => window.heard.push([who, what, detail.state]);
      createRoot(document.getElementById("react")).render(createElement(ForReact, { src: links[0], id: "r", onVerified: hear("react", "verified"), onCanceled: hear("react", "canceled") }));
      createApp({ render: () => h(ForVue, { src: links[1], id: "v", onVerified: hear("vue", "verified"), onCanceled: hear("vue", "canceled") }) }).mount("#vue");` },
  })).outputFiles[0].text;
  try {
    const origin = `http://localhost:${host.address().port}`, number = fresh();
    made.push((await link({ embed: origin, state: "one" })).url, (await link({ embed: origin, state: "two" })).url);
    const context = await browser.newContext({ locale: "en-GB" });
    const page = await context.newPage();
    await page.goto(origin);
    const react = page.frameLocator("#r iframe"), vue = page.frameLocator("#v iframe");
    await react.locator("#to").fill(number);
    await press(react.locator("[value=start]"));
    await react.locator("#fault:not(:empty)").waitFor(); // ten people before this one came from the same address
    see("the limit of an address is told in words", /Too many attempts. Try again in \d min/.test(await react.locator("#fault").innerText()));
    await press(react.getByRole("button", { name: "Cancel" }));
    await until(() => page.evaluate(() => window.heard.length === 1)); // the page has moved what is below
    await press(vue.getByRole("button", { name: "Cancel" }));
    await until(() => page.evaluate(() => window.heard.length === 2));
    const heard = JSON.stringify((await page.evaluate(() => window.heard)).sort());
    see("React and Vue hear the ends of their own", heard === '[["react","canceled","one"],["vue","canceled","two"]]', heard);
    await context.close();
  } finally {
    host.close();
  }
}

try {
  const slow = waiting();
  slow.catch(() => {}); // it is awaited below
  for (const part of [thumb, keyboard, scriptless, rightToLeft, otherEnds, autofill, spacing, widget, wrappers]) await part();
  await slow;
} finally {
  await browser.close();
}
