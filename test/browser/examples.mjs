// Clicks through the examples as a person would, with the codes that their phone gets.
// Usage: node examples.mjs SETTINGS-AS-JSON ({handset, sites: {name: {url, number}}}). It prints "ok NAME" or "not ok NAME: why".
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";
import { Handset } from "../../sdk/typescript/dist/testing.js";

const { handset, sites } = JSON.parse(process.argv[2]);
const phone = new Handset(handset);
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

const another = (code) => String((Number(code[0]) + 1) % 10) + code.slice(1);

/** A person at a page: what they fill in, press and read. */
class Person {
  constructor(page) {
    this.page = page;
  }
  fill = (label, text) => this.page.getByLabel(label, { exact: true }).fill(text);
  press = (button) => this.page.getByRole("button", { name: button, exact: true }).click();
  async reads(text) {
    await this.page.getByText(text).first().waitFor({ timeout: 10_000 });
  }
  async heading(text) {
    await this.page.getByRole("heading", { name: text, exact: true }).waitFor({ timeout: 10_000 });
  }
}

async function login(p, { url, number }) {
  await p.page.goto(url);
  await p.fill("Phone number", "12");
  await p.press("Send me a code");
  await p.reads("not a phone number");
  await p.fill("Phone number", "+447700900004");
  await p.press("Send me a code");
  await p.reads("Please use another one");
  await p.fill("Phone number", number.replace("+44", "0"));
  await p.press("Send me a code");
  await p.heading("Your code");
  const code = await phone.code(number);
  if (p.page.url().includes("vrf_") || (await p.page.content()).includes("vrf_")) throw new Error("the page tells the verification's id");
  if ((await p.page.getByLabel("Code", { exact: true }).getAttribute("autocomplete")) !== "one-time-code") throw new Error("the code does not fill itself in");
  await p.press("Send it again");
  await p.reads("Too many tries. Please wait");
  await p.fill("Code", another(code));
  await p.press("Sign in");
  await p.reads("That is not the code");
  await p.fill("Code", `${code.slice(0, 3)} ${code.slice(3)}`);
  await p.press("Sign in");
  await p.reads(/signed in as \+44.*\d{3}/);
  await p.page.goto(url);
  await p.heading("Welcome");
  await p.press("Sign out");
  await p.heading("Sign in");
  await p.page.goto(url);
  await p.heading("Sign in");
}

async function reset(p, { url, number }) {
  const password = "a new and long password";
  await p.page.goto(url);
  await p.page.getByText("Forgotten?").click();
  await p.fill("Account", "nobody");
  await p.press("Send me a code");
  await p.reads("If there is such an account");
  await p.page.goto(`${url}/forgot`);
  await p.fill("Account", "ada");
  await p.press("Send me a code");
  await p.reads("If there is such an account");
  const code = await phone.code(number);
  for (const [typed, chosen, said] of [[another(code), password, "That is not the code"], [code, "short", "15 characters"], [code, password, "Your password is changed"], ]) {
    await p.fill("Code", typed);
    await p.fill("New password", chosen);
    await p.press("Change it");
    await p.reads(said);
  }
  await p.fill("Password", "forgotten long ago");
  await p.press("Sign in");
  await p.reads("That is not right");
  await p.fill("Password", password);
  await p.press("Sign in");
  await p.heading("Welcome, ada");
}

async function payment(p, { url, number }) {
  await p.page.goto(url);
  await p.fill("To", "Acme & Söhne");
  await p.fill("Amount in EUR", "39.90");
  await p.press("Pay");
  await p.reads("39.90 EUR to Acme & Söhne");
  const code = await phone.code(number);
  const [{ text }] = await phone.messages(number);
  if (!text.includes("EUR 39.90") || !text.includes("Acme")) throw new Error(`the message does not name the payment: ${text}`);
  await p.fill("Code", another(code));
  await p.press("Confirm");
  await p.reads("not the code for this payment");
  await p.fill("Code", code);
  await p.press("Confirm");
  await p.reads("39.90 EUR went to Acme & Söhne");
}

async function device(p, { url, number }) {
  const signIn = async (password) => {
    await p.page.goto(url);
    await p.fill("Account", "ada");
    await p.fill("Password", password);
    await p.press("Sign in");
  };
  await signIn("wrong");
  await p.reads("That is not right");
  await signIn("correct horse battery");
  await p.heading("A new device");
  const code = await phone.code(number);
  await p.fill("Code", another(code));
  await p.press("Go on");
  await p.reads("That is not the code");
  await p.fill("Code", code);
  await p.press("Go on");
  await p.heading("Welcome");
  await p.press("Sign out");
  await signIn("correct horse battery"); // known by now: no code
  await p.heading("Welcome");
}

const stories = { "go login": login, "express login": login, "flask login": login, "go password reset": reset, "express payment": payment, "flask new device": device };

async function play([name, site]) {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  try {
    await stories[name](new Person(page), site);
    if (faults.length > 0) throw new Error(faults.join("; "));
    console.log(`ok ${name}`);
  } catch (error) {
    const shown = await page.locator("body").innerText().catch(() => "");
    console.log(`not ok ${name}: ${error} | the page shows: ${shown}`.replaceAll("\n", " "));
  }
  await context.close();
}

await Promise.all(Object.entries(sites).map(play));
await browser.close();
