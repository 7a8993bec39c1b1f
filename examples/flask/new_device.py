"""Asks for a code when somebody signs in with their password on a device that is not known yet (step-up).

    dialproof dev                                                      # in another terminal
    DIALPROOF_KEY=$(cat .dialproof/dev.key) python examples/flask/new_device.py

The account is "ada" with the password "correct horse battery".
"""

import os
import secrets

from dialproof import Device, Dialproof, DialproofConnectionError, DialproofError
from flask import Flask, make_response, request, session
from shared import show, words
from werkzeug.security import check_password_hash, generate_password_hash

dialproof = Dialproof(os.environ.get("DIALPROOF_URL", "http://127.0.0.1:8080"), os.environ["DIALPROOF_KEY"])
app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes(32)
app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True)

# A real site has a database, and lets people see and forget their devices.
accounts = {"ada": {"password": generate_password_hash("correct horse battery"), "number": os.environ.get("NUMBER", "+447700900123"), "devices": set()}}

SIGN_IN = """<form method="post" action="/signin">
<p><label>Account <input name="account" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p><button>Sign in</button></form>"""
CODE = """<p>You have not signed in on this device before. We sent a code to {{ session.to }}.</p>
<form method="post" action="/check">
<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" autofocus required></label> <button>Go on</button></form>"""
WELCOME = """<p>You are signed in as {{ session.user }}.</p><form method="post" action="/logout"><button>Sign out</button></form>"""


@app.get("/")
def home():
    return show("Welcome", WELCOME) if "user" in session else show("Sign in", SIGN_IN)


@app.post("/signin")
def sign_in():
    name = request.form.get("account", "")
    account = accounts.get(name)
    if account is None or not check_password_hash(account["password"], request.form.get("password", "")):
        return show("Sign in", SIGN_IN, "That is not right.")
    session.clear()
    if request.cookies.get("device") in account["devices"]:
        session["user"] = name
        return show("Welcome", WELCOME)
    try:
        client = Device(ip=request.remote_addr, user_agent=request.user_agent.string)
        started = dialproof.start(account["number"], purpose="login", client=client, metadata={"why": "new device"})
    except (DialproofError, DialproofConnectionError) as error:
        return show("Sign in", SIGN_IN, words(error))
    session.update(id=started.id, to=started.to, account=name)
    return show("A new device", CODE)


@app.post("/check")
def check():
    if "id" not in session:
        return show("Sign in", SIGN_IN)
    try:
        answer = dialproof.check(session["id"], request.form.get("code", ""))
    except (DialproofError, DialproofConnectionError) as error:
        return show("Sign in", SIGN_IN, words(error))
    if answer.result == "incorrect":
        return show("A new device", CODE, "That is not the code. Please look again.")
    if answer.result != "approved" or answer.proves != "phone":
        session.clear()
        return show("Sign in", SIGN_IN, "That code is no longer good. Please start again.")
    name, device = session["account"], secrets.token_urlsafe(24)
    session.clear()
    session["user"] = name
    accounts[name]["devices"].add(device)
    response = make_response(show("Welcome", WELCOME))
    response.set_cookie("device", device, max_age=365 * 86400, httponly=True, samesite="Lax")  # behind TLS, add secure
    return response


@app.post("/logout")
def logout():
    session.clear()
    return show("Sign in", SIGN_IN, "You are signed out.")


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ.get("PORT", "3000")))
