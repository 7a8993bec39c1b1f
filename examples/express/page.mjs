// What both examples share: pages, and what the server remembers of a browser.
import { randomBytes } from "node:crypto";
import { DialproofError } from "dialproof";

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** A template tag that escapes what is put in, unless it is html itself. */
export function html(parts, ...values) {
  const text = parts.reduce((all, part, i) => all + [values[i - 1]].flat().map((v) => (v?.html ?? escape(v ?? ""))).join("") + part);
  return { html: text };
}

export function page(title, body, note) {
  return html`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<body style="font: 1.1rem system-ui; max-width: 24rem; margin: 3rem auto; padding: 0 1rem">
${note ? html`<p role="status">${note}</p>` : ""}<h1>${title}</h1>
${body}`.html;
}

/** Express middleware: req.visitor is what the server remembers. A real site keeps it in a store, with an end. */
export function visitors() {
  const all = new Map();
  return (req, res, next) => {
    const id = /(?:^|; )visitor=([\w-]+)/.exec(req.headers.cookie ?? "")?.[1];
    req.visitor = all.get(id) ?? {};
    // A new cookie for a new state, so that nobody can hand over one that they know.
    req.remember = (visitor) => {
      all.delete(id);
      const fresh = randomBytes(24).toString("base64url");
      all.set(fresh, (req.visitor = visitor));
      res.cookie("visitor", fresh, { httpOnly: true, sameSite: "lax" }); // behind TLS, add secure
    };
    next();
  };
}

/** What a person should do about an error. */
export function words(error) {
  if (!(error instanceof DialproofError) || error.status >= 500) {
    console.error(error);
    return "We cannot send codes right now. Please try again in a minute.";
  }
  switch (error.code) {
    case "rate_limited":
    case "number_locked":
      return `Too many tries. Please wait ${error.retryAfter} seconds.`;
    case "invalid_request":
      return "That is not a phone number that we can send to.";
    case "number_blocked":
    case "no_route":
      return "We cannot send to this number. Please use another one.";
    default:
      return "That code is no longer good. Please start again.";
  }
}
