// Signs people in by their phone number.
//   dialproof dev                                                       (in another terminal)
//   DIALPROOF_KEY=$(cat .dialproof/dev.key) node examples/express/login.mjs
import { Dialproof } from "dialproof";
import express from "express";
import { html, page, visitors, words } from "./page.mjs";

const dialproof = new Dialproof({ baseUrl: process.env.DIALPROOF_URL ?? "http://127.0.0.1:8080", key: process.env.DIALPROOF_KEY });
const app = express();
app.use(express.urlencoded({ extended: false }), visitors());

const signIn = (note) =>
  page(
    "Sign in",
    html`<form method="post" action="/start">
<label>Phone number <input name="to" type="tel" autocomplete="tel" autofocus required></label> <button>Send me a code</button></form>`,
    note,
  );
const code = ({ to }, note) =>
  page(
    "Your code",
    html`<p>We sent a code to ${to}.</p>
<form method="post" action="/check">
<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" autofocus required></label> <button>Sign in</button></form>
<form method="post" action="/resend"><button>Send it again</button></form>`,
    note,
  );
const welcome = ({ user }) =>
  page("Welcome", html`<p>You are signed in as ${user}.</p><form method="post" action="/logout"><button>Sign out</button></form>`);

app.get("/", (req, res) => {
  res.send(req.visitor.user ? welcome(req.visitor) : req.visitor.id ? code(req.visitor) : signIn());
});

app.post("/start", async (req, res) => {
  try {
    const client = { ip: req.ip, user_agent: req.get("User-Agent") }; // behind a proxy, set "trust proxy"
    const { id, to } = await dialproof.start({ to: req.body.to ?? "", region: "GB", purpose: "login", client });
    // The id stays here: a browser that could choose it could have somebody else's number approved.
    req.remember({ id, to });
    res.send(code(req.visitor));
  } catch (error) {
    res.send(signIn(words(error)));
  }
});

app.post("/resend", async (req, res) => {
  try {
    await dialproof.resend(req.visitor.id ?? "none");
    res.send(code(req.visitor, "We sent it again."));
  } catch (error) {
    res.send(code(req.visitor, words(error)));
  }
});

app.post("/check", async (req, res) => {
  try {
    const check = await dialproof.check(req.visitor.id ?? "none", req.body.code ?? "");
    if (check.result === "approved" && check.proves === "phone") {
      req.remember({ user: check.to });
      res.send(welcome(req.visitor));
    } else if (check.result === "incorrect") {
      res.send(code(req.visitor, "That is not the code. Please look again."));
    } else {
      res.send(signIn("That code is no longer good. Please start again.")); // expired, exhausted, canceled, used
    }
  } catch (error) {
    res.send(signIn(words(error)));
  }
});

app.post("/logout", (req, res) => {
  req.remember({});
  res.send(signIn("You are signed out."));
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
