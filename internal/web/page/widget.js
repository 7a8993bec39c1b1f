// <dialproof-verify>: verifies a phone number inside your page.
//
//   <dialproof-verify src="https://verify.example.com/verify/…"></dialproof-verify>
//
// `src` is the `url` of a link that your server made with `embed` set to your page's origin. The form itself is a frame of the Dialproof
// server: neither the number nor the code passes through your page. Events: `verified` {proof, state}, `failed` {reason, state}, `canceled` {state}.
// Looks: --dialproof-accent, --dialproof-border, --dialproof-radius, --dialproof-max-width.

const sheet = () => {
  const s = new CSSStyleSheet();
  s.replaceSync(`
    :host { display: block; max-width: var(--dialproof-max-width, 28rem); }
    :host([hidden]) { display: none; }
    iframe { display: block; width: 100%; height: 26rem; border: var(--dialproof-border, 1px solid color-mix(in srgb, currentcolor 20%, transparent)); border-radius: var(--dialproof-radius, 1rem); color-scheme: inherit; }
  `);
  return s;
};

// hex answers a colour of any notation as rrggbb, "" for none.
function hex(element, name) {
  const value = getComputedStyle(element).getPropertyValue(name).trim();
  if (!value || !CSS.supports("color", value)) return "";
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = value;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((n) => n.toString(16).padStart(2, "0")).join("");
}

// On a server that renders pages there is no HTMLElement, and nothing to show either.
export class DialproofVerify extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ["src", "label"];
  #live = false; // an element that stood in the page before is told of its attributes before it is told that it is there
  #frame = null;
  #ended = "";

  get src() { return this.getAttribute("src") ?? ""; }
  set src(url) { this.setAttribute("src", url); }

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet()];
  }

  connectedCallback() {
    addEventListener("message", this.#hear);
    this.#live = true;
    this.#show();
  }

  disconnectedCallback() {
    removeEventListener("message", this.#hear);
    this.#live = false;
    this.#frame?.remove();
    this.#frame = null;
  }

  attributeChangedCallback(name, before, after) {
    if (name === "label" && this.#frame) this.#frame.title = this.#title();
    if (name === "src" && before !== after && this.#live) this.#show();
  }

  #title() { return this.getAttribute("label") || "Phone verification"; }

  #show() {
    this.#frame?.remove();
    this.#frame = null;
    this.#ended = "";
    if (!URL.canParse(this.src) || !/^https?:$/.test(new URL(this.src).protocol)) return;
    const url = new URL(this.src);
    const accent = hex(this, "--dialproof-accent");
    if (accent) url.searchParams.set("accent", accent);
    const frame = document.createElement("iframe");
    frame.title = this.#title();
    frame.allow = "otp-credentials"; // so that the code may fill itself in
    frame.referrerPolicy = "no-referrer";
    frame.setAttribute("sandbox", "allow-scripts allow-forms allow-same-origin allow-popups allow-popups-to-escape-sandbox"); // terms open in a tab of their own; it may not lead your page away
    frame.src = url.href;
    this.shadowRoot.append(frame);
    this.#frame = frame;
  }

  // Only the frame's own server is believed, and only out of this very frame.
  #hear = (event) => {
    if (!this.#frame || event.source !== this.#frame.contentWindow || event.origin !== new URL(this.src).origin) return;
    const { type, height, proof, state } = event.data ?? {};
    if (type === "dialproof:size" && Number.isFinite(height)) this.#frame.style.height = `${Math.min(Math.max(height, 120), 2000)}px`;
    if (type === "dialproof:open") this.#ended = "";
    const kind = { "dialproof:verified": "verified", "dialproof:canceled": "canceled", "dialproof:failed": "failed", "dialproof:expired": "failed" }[type];
    if (!kind || this.#ended === type) return; // a reload of the frame says it again
    this.#ended = type;
    const detail = { verified: { proof, state }, canceled: { state }, failed: { reason: type.slice("dialproof:".length), state } }[kind];
    this.dispatchEvent(new CustomEvent(kind, { detail, bubbles: true, composed: true }));
  };
}

if (globalThis.customElements && !customElements.get("dialproof-verify")) customElements.define("dialproof-verify", DialproofVerify);
