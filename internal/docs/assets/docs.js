// What a script adds to the documentation: search, copying, and the language that the reader chose, kept from page to page.
// Every page is whole without it.

const search = document.querySelector(".search");
const input = search.querySelector("input");
const box = search.querySelector(".results");
const list = box.querySelector("ol");
const status = box.querySelector("[role=status]");
search.hidden = false;

let index; // the promise of [page, heading, address, text, all of it in small letters]
function load() {
  index ??= fetch("/docs/search.json").then((r) => r.json()).then((all) => all.map((e) => [...e, `${e[0]} ${e[1]} ${e[3]}`.toLowerCase()]));
  return index;
}

// score says how well a place answers the words; 0: a word is missing.
function score([page, title, , , all], words) {
  let sum = 0;
  for (const word of words) {
    if (!all.includes(word)) return 0;
    const inTitle = title.toLowerCase(), inPage = page.toLowerCase();
    if (inTitle === word) sum += 60;
    if (inTitle.split(/[^\p{L}\p{N}_]+/u).some((w) => w.startsWith(word))) sum += 20;
    else if (inTitle.includes(word)) sum += 8;
    if (inPage.includes(word)) sum += 6;
    sum += Math.min(all.split(word).length - 1, 5);
  }
  return sum;
}

// excerpt answers the text around the first word, as nodes with the words marked.
function excerpt(text, words) {
  const small = text.toLowerCase();
  const at = Math.max(0, Math.min(...words.map((w) => small.indexOf(w)).filter((i) => i >= 0), text.length) - 40);
  const cut = (at > 0 ? "… " : "") + text.slice(at, at + 180);
  const pattern = new RegExp(`(${words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
  return cut.split(pattern).map((part, i) => {
    if (i % 2 === 0) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  });
}

async function look() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean).slice(0, 8);
  if (words.length === 0) return close();
  const places = await load();
  const best = places.map((p) => [score(p, words), p]).filter(([s]) => s > 0).sort((a, b) => b[0] - a[0]).slice(0, 12);
  list.replaceChildren(...best.map(([, [page, title, url, text]]) => {
    const item = document.createElement("li"), link = document.createElement("a");
    const head = document.createElement("strong"), small = document.createElement("small");
    head.textContent = page === title ? page : `${title} · ${page}`;
    small.append(...excerpt(text, words));
    link.href = url;
    link.append(head, small);
    item.append(link);
    return item;
  }));
  status.textContent = best.length === 0 ? "Nothing found." : best.length === 12 ? "The first 12 places" : `${best.length} ${best.length === 1 ? "place" : "places"}`;
  box.hidden = false;
}

function close() {
  box.hidden = true;
}

input.addEventListener("focus", load, { once: true });
input.addEventListener("input", look);
search.addEventListener("keydown", (event) => {
  const links = [...list.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "Escape") { close(); input.focus(); }
  else if (event.key === "ArrowDown") (links[at + 1] ?? links[0])?.focus();
  else if (event.key === "ArrowUp") (at > 0 ? links[at - 1] : input).focus();
  else if (event.key === "Enter" && document.activeElement === input) links[0]?.click();
  else return;
  event.preventDefault();
});
search.addEventListener("focusout", (event) => search.contains(event.relatedTarget) || close());
box.addEventListener("mousedown", (event) => event.preventDefault()); // a click must not take the focus first
list.addEventListener("click", (event) => event.target.closest("a") && close());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea") || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  input.focus();
});

// Copying.
for (const block of document.querySelectorAll(".code")) {
  if (!navigator.clipboard) break; // only secure pages and localhost may
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.append(button);
}

// The language of the examples.
function choose(language) {
  for (const radio of document.querySelectorAll(`.tabs > input[value="${language}"]`)) radio.checked = true;
}
let chosen;
try { chosen = localStorage.getItem("dialproof-docs-language"); } catch { /* storage is switched off */ }
if (chosen && /^[a-z]+$/.test(chosen)) choose(chosen);
for (const radio of document.querySelectorAll(".tabs > input")) {
  radio.addEventListener("change", () => {
    const before = radio.getBoundingClientRect().top;
    choose(radio.value);
    window.scrollBy(0, radio.getBoundingClientRect().top - before); // the page above may have another height now
    try { localStorage.setItem("dialproof-docs-language", radio.value); } catch { /* storage is switched off */ }
  });
}

// Where the reader is, in the contents beside the text.
const places = new Map([...document.querySelectorAll("aside a")].map((a) => [a.hash.slice(1), a]));
if (places.size > 0) {
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const e of entries) e.isIntersecting ? seen.add(e.target.id) : seen.delete(e.target.id);
    const first = [...places.keys()].find((id) => seen.has(id));
    if (first) for (const [id, a] of places) a.classList.toggle("now", id === first);
  }, { rootMargin: "-60px 0px -60% 0px" });
  for (const id of places.keys()) {
    const heading = document.getElementById(id);
    if (heading) watch.observe(heading);
  }
}
