"""Signs people in by their phone number.

    dialproof dev                                                      # in another terminal
    DIALPROOF_KEY=$(cat .dialproof/dev.key) python examples/flask/login.py
"""

import os
import secrets

from dialproof import Device, Dialproof, DialproofConnectionError, DialproofError
from flask import Flask, request, session
from shared import show, words

dialproof = Dialproof(os.environ.get("DIALPROOF_URL", "http://127.0.0.1:8080"), os.environ["DIALPROOF_KEY"])
app = Flask(__name__)
# Flask signs its cookie, so that a browser cannot choose the verification in it: else it could have somebody else's
# number approved. Behind TLS, set SESSION_COOKIE_SECURE too.
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes(32)
app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True)

SIGN_IN = """<form method="post" action="/start">
<label>Phone number <input name="to" type="tel" autocomplete="tel" autofocus required></label> <button>Send me a code</button></form>"""
CODE = """<p>We sent a code to {{ session.to }}.</p>
<form method="post" action="/check">
<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" autofocus required></label> <button>Sign in</button></form>
<form method="post" action="/resend"><button>Send it again</button></form>"""
WELCOME = """<p>You are signed in as {{ session.user }}.</p><form method="post" action="/logout"><button>Sign out</button></form>"""


@app.get("/")
def home():
    if "user" in session:
        return show("Welcome", WELCOME)
    return show("Your code", CODE) if "id" in session else show("Sign in", SIGN_IN)


@app.post("/start")
def start():
    try:
        client = Device(ip=request.remote_addr, user_agent=request.user_agent.string)  # behind a proxy, use ProxyFix
        started = dialproof.start(request.form.get("to", ""), region="GB", purpose="login", client=client)
    except (DialproofError, DialproofConnectionError) as error:
        return show("Sign in", SIGN_IN, words(error))
    session.clear()
    session.update(id=started.id, to=started.to)
    return show("Your code", CODE)


@app.post("/resend")
def resend():
    try:
        dialproof.resend(session.get("id", "none"))
    except (DialproofError, DialproofConnectionError) as error:
        return show("Your code", CODE, words(error))
    return show("Your code", CODE, "We sent it again.")


@app.post("/check")
def check():
    try:
        answer = dialproof.check(session.get("id", "none"), request.form.get("code", ""))
    except (DialproofError, DialproofConnectionError) as error:
        return show("Sign in", SIGN_IN, words(error))
    if answer.result == "approved" and answer.proves == "phone":
        session.clear()
        session["user"] = answer.to
        return show("Welcome", WELCOME)
    if answer.result == "incorrect":
        return show("Your code", CODE, "That is not the code. Please look again.")
    return show("Sign in", SIGN_IN, "That code is no longer good. Please start again.")  # expired, exhausted, canceled, used


@app.post("/logout")
def logout():
    session.clear()
    return show("Sign in", SIGN_IN, "You are signed out.")


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ.get("PORT", "3000")))
