// Draws each Mermaid text of docs/ as a picture that follows the reader's light or dark colours. See diagrams.sh.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../test/browser/", import.meta.url))("playwright-core");
const root = new URL("..", import.meta.url).pathname;

// Mermaid gets colours that nobody would choose; the picture's own style sheet says what they are.
const colours = {
  "#010101": ["ink", "#17221d", "#e2eae6"],
  "#020202": ["soft", "#52605a", "#a3b2ab"],
  "#030303": ["line", "#8fa098", "#5d6f66"],
  "#040404": ["box", "#eef4f1", "#1c2721"],
  "#050505": ["ground", "#ffffff", "#101613"],
};
const [ink, soft, line, box, ground] = Object.keys(colours);

const browser = await chromium.launch({
  executablePath: ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync),
  args: ["--no-sandbox", "--disable-gpu"],
});
const page = await browser.newPage();
await page.setContent("<!doctype html><body></body>");
await page.addScriptTag({ path: `${root}.cache/diagrams/node_modules/mermaid/dist/mermaid.min.js` });
await page.evaluate(([ink, soft, line, box, ground]) => mermaid.initialize({
  startOnLoad: false, layout: "dagre", securityLevel: "strict", theme: "base", htmlLabels: true, flowchart: { htmlLabels: true, nodeSpacing: 30, rankSpacing: 35, curve: "basis" }, state: { nodeSpacing: 30, rankSpacing: 45 },
  fontFamily: "system-ui, sans-serif", look: "classic",
  themeVariables: {
    fontSize: "15px", primaryColor: box, primaryTextColor: ink, primaryBorderColor: line, lineColor: soft, textColor: ink, background: ground, mainBkg: box,
    nodeBorder: line, nodeTextColor: ink, edgeLabelBackground: ground, labelBackgroundColor: ground, labelColor: ink, transitionColor: soft, transitionLabelColor: soft,
    stateLabelColor: ink, stateBkg: box, specialStateColor: soft, compositeBackground: box, tertiaryColor: ground,
  },
}), [ink, soft, line, box, ground]);

const drawn = new Set();
for (const file of readdirSync(`${root}docs`, { recursive: true }).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)) {
  for (const [, text] of readFileSync(root + file, "utf8").matchAll(/^```mermaid\n(.*?)^```$/gms)) {
    const hash = createHash("sha256").update(text.trim()).digest("hex").slice(0, 12);
    let svg = await page.evaluate(async ([id, text]) => {
      const frame = document.createElement("div"); // what comes is HTML; a picture must be XML
      frame.innerHTML = (await mermaid.render(id, text)).svg;
      return new XMLSerializer().serializeToString(frame.firstChild);
    }, [`d${hash}`, text]);
    svg = svg.replaceAll(/rgba?\(([0-9]), \1, \1(, [0-9.]+)?\)/g, (all, n) => `#0${n}0${n}0${n}`);
    for (const [mark, [name]] of Object.entries(colours)) svg = svg.replaceAll(new RegExp(mark, "gi"), `var(--${name})`);
    const style = (at) => Object.values(colours).map((c) => `--${c[0]}:${c[at]}`).join(";");
    svg = svg.replace("<style>", `<style>svg{${style(1)}}@media (prefers-color-scheme:dark){svg{${style(2)}}}`);
    // An image has the size that it says: the frame of the page scrolls it.
    const [, , , width, height] = svg.match(/viewBox="([-0-9.]+) ([-0-9.]+) ([0-9.]+) ([0-9.]+)"/);
    svg = svg.replace(/ width="100%"/, ` width="${Math.ceil(width)}" height="${Math.ceil(height)}"`).replace(/ style="max-width:[^"]*"/, "");
    writeFileSync(`${root}docs/diagrams/${hash}.svg`, `${svg}\n`);
    drawn.add(`${hash}.svg`);
    console.log(`${file}: ${hash}.svg, ${svg.length} bytes`);
  }
}
for (const old of readdirSync(`${root}docs/diagrams`)) if (!drawn.has(old)) unlinkSync(`${root}docs/diagrams/${old}`);
await browser.close();
