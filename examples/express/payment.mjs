// Has a payment confirmed by a code that is right for its amount and payee alone (PSD2: dynamic linking).
//   dialproof dev                                                       (in another terminal)
//   DIALPROOF_KEY=$(cat .dialproof/dev.key) node examples/express/payment.mjs
import { Dialproof } from "dialproof";
import express from "express";
import { html, page, visitors, words } from "./page.mjs";

const dialproof = new Dialproof({ baseUrl: process.env.DIALPROOF_URL ?? "http://127.0.0.1:8080", key: process.env.DIALPROOF_KEY });
const number = process.env.NUMBER ?? "+447700900123"; // of the person who is signed in
const app = express();
app.use(express.urlencoded({ extended: false }), visitors());

const order = (note) =>
  page(
    "Pay",
    html`<form method="post" action="/pay">
<p><label>To <input name="payee" required maxlength="64"></label></p>
<p><label>Amount in EUR <input name="amount" inputmode="decimal" pattern="[0-9]{1,12}([.][0-9]{2})?" required></label></p><button>Pay</button></form>`,
    note,
  );
const confirm = ({ transaction: { amount, currency, payee }, to }, note) =>
  page(
    "Confirm",
    html`<p>${amount} ${currency} to ${payee}. We sent a code to ${to}: it names the same amount and payee. If it does not, stop.</p>
<form method="post" action="/confirm">
<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" autofocus required></label> <button>Confirm</button></form>`,
    note,
  );

app.get("/", (_req, res) => {
  res.send(order());
});

app.post("/pay", async (req, res) => {
  try {
    const transaction = { amount: req.body.amount ?? "", currency: "EUR", payee: req.body.payee ?? "" };
    const { id, to } = await dialproof.start({ to: number, purpose: "transaction", transaction });
    // The payment stays here. What the confirming form says of it would be the browser's word.
    req.remember({ id, to, transaction });
    res.send(confirm(req.visitor));
  } catch (error) {
    res.send(order(words(error)));
  }
});

app.post("/confirm", async (req, res) => {
  const { id, transaction } = req.visitor;
  if (!id) return res.send(order("Please begin again."));
  try {
    const check = await dialproof.check(id, req.body.code ?? "", { transaction });
    if (check.result === "approved" && check.proves === "phone") {
      req.remember({});
      res.send(page("Paid", html`<p>${transaction.amount} ${transaction.currency} went to ${transaction.payee}.</p>`));
    } else if (check.result === "incorrect") {
      res.send(confirm(req.visitor, "That is not the code for this payment."));
    } else {
      res.send(order("That code is no longer good. Nothing was paid."));
    }
  } catch (error) {
    res.send(order(words(error)));
  }
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
