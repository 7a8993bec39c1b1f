// Drives the handset page as a person would: with a keyboard, on a small phone and on a desk, in light and dark.
// Usage: node handset.mjs URL PICTURES. It prints one line for each thing seen and exits with 1 at the first that is not.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";

const [url, pictures] = process.argv.slice(2);
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

function see(what, ok, detail = "") {
  console.log(`${ok ? "ok" : "NOT OK"}: ${what}${ok ? "" : ` ${detail}`}`);
  if (!ok) throw new Error(what);
}

async function open(options, number) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const faults = [];
  const foreign = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("request", (request) => request.url().startsWith(url) || foreign.push(request.url()));
  await page.goto(`${url}/dev/handset`);
  await page.getByText("connected").waitFor();
  if (number) await page.getByLabel("Phone number", { exact: true }).fill(number);
  return { page, faults, foreign, context };
}

// newest answers the code of the newest message to a number, as the person reads it on the handset.
async function newest(page, number) {
  const item = page.locator("#messages li", { hasText: number }).first();
  await item.waitFor();
  return (await item.locator(".text").innerText()).match(/[0-9]{6}/)[0];
}

try {
  // By keyboard alone, on a small phone.
  {
    const { page, faults, foreign, context } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" }, "+44 7700 900201");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    see("at 360 px nothing is cut off", wide <= 360, `the page is ${wide} px wide`);
    await page.getByLabel("Phone number", { exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("Code", { exact: true }).waitFor();
    see("the focus is in the code field", await page.evaluate(() => document.activeElement.id === "code"));
    const code = await newest(page, "+447700900201");
    see("the message appeared without a reload", true);
    see("the masked number is shown", (await page.locator("#masked").innerText()).endsWith("201"));
    const wrong = code === "000000" ? "111111" : "000000";
    await page.keyboard.type(wrong);
    await page.keyboard.press("Enter");
    await page.getByText("4 tries are left").waitFor();
    see("a wrong code is told in words", true);
    await page.keyboard.type(`${code.slice(0, 3)} ${code.slice(3)}`);
    await page.keyboard.press("Enter");
    await page.getByText("The number is verified").waitFor();
    see("the code with a space in it is approved", true);
    await page.screenshot({ path: `${pictures}/handset-360-dark.png`, fullPage: true });
    see("no error in the console", faults.length === 0, faults.join("; "));
    see("no request to anybody else", foreign.length === 0, foreign.join("; "));
    await context.close();
  }
  // With a mouse, on a desk.
  {
    const { page, faults, context } = await open({ viewport: { width: 1120, height: 760 }, colorScheme: "light", deviceScaleFactor: 2 }, "+44 7700 900202");
    await page.getByRole("button", { name: "Send the code" }).click();
    await newest(page, "+447700900202");
    await page.locator("#messages li", { hasText: "+447700900202" }).getByRole("button", { name: "Fill in the code" }).click();
    see("a tap fills in the code", (await page.getByLabel("Code", { exact: true }).inputValue()).length === 6);
    see("the resend counts down", /Send it again in \d+ s/.test(await page.locator("#resend").innerText()));
    await page.screenshot({ path: `${pictures}/handset.png` });
    await page.getByRole("button", { name: "Check the code" }).click();
    await page.getByText("The number is verified").waitFor();
    see("verified on a desk", true);
    await page.getByRole("button", { name: "Verify another number" }).click();
    await page.getByLabel("Phone number", { exact: true }).fill("+44 7700 900202");
    await page.getByRole("button", { name: "Send the code" }).click();
    await page.getByLabel("Code", { exact: true }).waitFor();
    see("after a success the same number may start again at once", true);
    await page.getByRole("button", { name: "Change the number" }).click();
    await page.getByLabel("Phone number", { exact: true }).fill("12");
    await page.getByRole("button", { name: "Send the code" }).click();
    await page.locator("#to-error:not(:empty)").waitFor();
    see("a bad number is told in words", (await page.locator("#to-error").innerText()).length > 10);
    see("the field is marked", (await page.getByLabel("Phone number", { exact: true }).getAttribute("aria-invalid")) === "true");
    see("no error but the refused request", faults.every((f) => f.includes("422")), faults.join("; "));
    await context.close();
  }
  // A reload keeps what arrived.
  {
    const { page, context } = await open({ viewport: { width: 1120, height: 760 }, colorScheme: "dark" });
    await page.locator("#messages li").nth(2).waitFor(); // they come by the stream, a moment after the page
    see("messages survive a reload", (await page.locator("#messages li").count()) >= 3);
    await page.screenshot({ path: `${pictures}/handset-dark.png` });
    await context.close();
  }
} finally {
  await browser.close();
}
