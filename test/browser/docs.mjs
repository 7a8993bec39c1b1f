// Reads the documentation as a person would: every page on a desk and on a small phone, in light and dark, with and without a
// script; searches, chooses a language, and tries calls out. Usage: node docs.mjs URL PICTURES. It prints one line for each
// thing seen and exits with 1 at the first that is not.
import { chromium } from "playwright-core";
import { existsSync, readFileSync } from "node:fs";

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

async function open(options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error}`));
  page.on("console", (message) => message.type() === "error" && faults.push(`${page.url()}: ${message.text()}`));
  page.on("request", (request) => request.url().startsWith(url) || faults.push(`${page.url()} asks ${request.url()}`));
  return { page, faults, context };
}

const desk = { viewport: { width: 1280, height: 900 }, colorScheme: "light" };
const phone = { viewport: { width: 360, height: 740 }, colorScheme: "dark", hasTouch: true };

try {
  // Every page, at both widths. Each is loaded once; the phone's colours are the dark ones.
  {
    const { page, faults, context } = await open(phone);
    await page.goto(`${url}/docs`);
    const all = await page.locator("#menu a").evaluateAll((links) => links.map((a) => a.pathname));
    const wrong = [];
    for (const path of all) {
      await page.goto(url + path, { waitUntil: "load" });
      for (const [name, options] of Object.entries({ phone, desk })) {
        await page.setViewportSize(options.viewport);
        await page.emulateMedia({ colorScheme: options.colorScheme });
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > options.viewport.width) wrong.push(`${path} is ${width} px wide`);
        if (process.env.DIALPROOF_PICTURES) await page.screenshot({ path: `${pictures}/${path.slice(1).replaceAll("/", "_")}-${name}.png` });
      }
      if (await page.evaluate(() => [...document.images].some((i) => i.naturalWidth === 0))) wrong.push(`${path} lacks a picture`);
    }
    see(`${all.length} pages: nothing is cut off on a phone or a desk, every picture is there`, all.length > 30 && wrong.length === 0, wrong.join("; "));
    see("no error and no request to anybody else", faults.length === 0, faults.join("; "));
    await context.close();
  }
  // What axe-core says: WCAG 2.2 AA and its own best practice, in both schemes. It is put into the page, which the policy forbids.
  {
    const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
    for (const options of [desk, phone]) {
      const { page, context } = await open({ ...options, bypassCSP: true });
      const found = [];
      for (const path of ["/docs", "/docs/guides/transaction", "/docs/api", "/docs/nothing"]) {
        await page.goto(url + path);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
        found.push(...violations.map((v) => `${path}: ${v.id} at ${v.nodes[0].target}`));
      }
      see(`axe-core finds nothing in the ${options.colorScheme} pages`, found.length === 0, found.join("; "));
      await context.close();
    }
  }
  // Without a script.
  {
    const { page, context } = await open({ ...phone, javaScriptEnabled: false });
    await page.goto(`${url}/docs/quickstart`);
    see("without a script the text is there, and no search that does nothing", (await page.getByRole("heading", { name: "Quick start", exact: true }).isVisible()) && !(await page.locator(".search").isVisible()));
    await page.getByRole("button", { name: "All pages" }).click();
    await page.locator("#menu").getByRole("link", { name: "Errors", exact: true }).click();
    await page.waitForURL("**/docs/errors");
    see("without a script the menu opens and leads on", true);
    await page.goto(`${url}/docs/guides/login`);
    see("without a script one language is shown", (await page.locator(".panels > .code:visible").count()) === 1);
    await page.locator(".tabs label", { hasText: "Python" }).first().click();
    see("without a script another one can be chosen", (await page.locator(".panels > .code:visible").innerText()).includes("import Device, Dialproof"));
    await context.close();
  }
  // Search, by keyboard alone.
  {
    const { page, faults, context } = await open(desk);
    await page.goto(`${url}/docs`);
    await page.keyboard.press("/");
    await page.keyboard.type("retry_at number_gap");
    await page.locator("#results a").first().waitFor();
    see("the search finds by text", (await page.locator("#results a").count()) > 0 && (await page.locator(".results [role=status]").innerText()).includes("place"));
    await page.screenshot({ path: `${pictures}/docs-search.png` });
    await page.locator("#search").fill("zzzz");
    await page.getByText("Nothing found.").waitFor();
    see("the search says when there is nothing", true);
    await page.locator("#search").fill("order of channels");
    await page.waitForFunction(() => document.querySelector("#results a strong")?.textContent.startsWith("An order of channels"), undefined, { timeout: 5000 });
    see("what is called so comes first", true);
    await page.locator("#search").fill("rate_limited");
    await page.locator("#results a").first().waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(/docs\/.+/);
    see("the arrow and Enter lead there", true);
    see("no error", faults.length === 0, faults.join("; "));
    await context.close();
  }
  // The language is kept from page to page.
  {
    const { page, context } = await open(desk);
    await page.goto(`${url}/docs/guides/login`);
    await page.locator(".tabs input").first().focus();
    await page.keyboard.press("ArrowRight");
    see("the arrow chooses the next language", (await page.locator(".panels > .code:visible").innerText()).includes('from "dialproof"'));
    await page.screenshot({ path: `${pictures}/docs-tabs.png` });
    await page.goto(`${url}/docs/guides/transaction`);
    see("the next page has the same language", (await page.locator(".panels > .code:visible").first().innerText()).includes("dialproof/testing"));
    await context.close();
  }
  // Try it: start and check, as the page has them.
  {
    const { page, faults, context } = await open(desk);
    await page.goto(`${url}/docs/api`);
    const start = page.locator("section", { has: page.locator("#startVerification") });
    await start.getByText("Try it").click();
    await start.getByLabel("Body").fill('{"to": "+447700900001"}');
    await start.getByRole("button", { name: "Send" }).click();
    await start.getByText("201 Created").waitFor();
    see("a start can be tried", (await start.locator(".try pre").innerText()).includes('"status": "pending"'));
    const check = page.locator("section", { has: page.locator("#checkVerification") });
    await check.getByText("Try it").click();
    see("the id of the start is in the next form", (await check.getByLabel("id", { exact: true }).inputValue()).startsWith("vrf_"));
    await check.getByRole("button", { name: "Send" }).click();
    await check.getByText("200 OK").waitFor();
    see("a check can be tried", (await check.locator(".try pre").innerText()).includes('"result": "approved"'));
    await check.scrollIntoViewIfNeeded();
    await page.screenshot({ path: `${pictures}/docs-try.png` });
    const messages = page.locator("section", { has: page.locator("#handsetMessages") });
    await messages.getByText("Try it").click();
    await messages.getByLabel("to", { exact: true }).fill("");
    await messages.getByRole("button", { name: "Send" }).click();
    await messages.getByText("200 OK").waitFor();
    see("the messages can be asked for", (await messages.locator(".try pre").innerText()).includes("123456"));
    see("no error", faults.length === 0, faults.join("; "));
    await context.close();
  }
} finally {
  await browser.close();
}
