// What an application does with the widget: its server makes a link, its page shows it and hears the end. (The key stands in this page because it
// is the development key; anywhere else the server makes the link.)
const key = document.querySelector('meta[name="dialproof-key"]').content;
const widget = document.getElementById("widget"), status = document.getElementById("status");

const answer = await fetch("/v1/links", {
  method: "POST",
  headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
  body: JSON.stringify({ purpose: "registration", embed: location.origin, state: crypto.randomUUID() }),
});
const link = await answer.json();
if (answer.ok) widget.src = link.url;
else status.textContent = link.detail;

widget.addEventListener("verified", (event) => { status.textContent = `Verified. The proof has ${event.detail.proof.length} characters; your server checks it.`; });
widget.addEventListener("failed", (event) => { status.textContent = `Not verified: ${event.detail.reason}.`; });
widget.addEventListener("canceled", () => { status.textContent = "Canceled."; });
