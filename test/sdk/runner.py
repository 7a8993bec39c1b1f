"""Plays scenarios.yaml through the Python SDK. Usage: python runner.py SCENARIOS SETTINGS-AS-JSON"""

import json
import re
import sys
import urllib.parse
import urllib.request

import yaml

from dialproof import Dialproof, DialproofConnectionError, DialproofError, Transaction, WebhookError, verify_webhook
from dialproof._decode import encode, time
from dialproof.proof import ProofError, ProofVerifier
from dialproof.testing import Handset, code_in

stage = json.loads(sys.argv[2])
taken = 0


def fetch(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(stage["url"] + path, data, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


class Player:
    def __init__(self):
        self.saved = {k: stage[k] for k in ("word", "application", "secret", "event_secret")}
        self.client = Dialproof(stage["url"], stage["key"])
        self.handset = Handset(stage["url"])
        self.verifiers = {}

    def value(self, v):
        """What a scenario means by a value."""
        if isinstance(v, dict):
            return {k: self.value(x) for k, x in v.items()}
        if isinstance(v, list):
            return [self.value(x) for x in v]
        if isinstance(v, str) and v.startswith("$") and not v.startswith("${"):
            return self.name(v[1:])
        if isinstance(v, str):
            return re.sub(r"\$\{([^}]+)\}", lambda m: self.name(m.group(1)), v)
        return v

    def name(self, path):
        global taken
        first = path.split(".")[0]
        if first.startswith("number") and first not in self.saved:
            self.saved[first] = stage["numbers"][taken]
            taken += 1
        return field(self.saved, path)

    def do(self, step):
        args = self.value(step.get("with", {}))
        if "transaction" in args:
            args["transaction"] = Transaction(**args["transaction"])
        return encode(getattr(self, "do_" + step["do"], None)(**args) if hasattr(self, "do_" + step["do"]) else self.call(step["do"], args))

    def call(self, method, args):
        for name in ("created_after", "created_before"):
            if name in args:
                args[name] = time(args[name])
        answer = getattr(self.client, method)(**args)
        if method == "list":
            ids = [v.id for v in answer]
            return {"count": len(ids), "first": ids[0] if ids else None, "last": ids[-1] if ids else None}
        return plain(answer)

    def do_client(self, key=None, **options):
        self.client = Dialproof(stage["url"], key or stage["key"], **options)

    def do_code(self, to):
        return self.handset.code(to)

    def do_messages(self, to):
        return len(self.handset.messages(to))

    def do_wrong(self, code):
        return str((int(code[0]) + 1) % 10) + code[1:]

    def do_code_in(self, text):
        return code_in(text)

    def do_fault(self, **fault):
        return fetch("/stage/fault", fault)

    def do_seen(self):
        return fetch("/stage/seen")

    def do_hook(self, to):
        return fetch("/stage/hook?to=" + urllib.parse.quote(to))

    def do_event(self, type, id):
        return fetch("/stage/event?" + urllib.parse.urlencode({"type": type, "id": id}))

    def do_webhook(self, body, id, timestamp, signature, secrets, now=None):
        headers = {"Webhook-Id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}
        event = verify_webhook(body, headers, secrets, now)
        return {**plain(event), "verification": plain(event.verification)}

    def do_proof(self, proof, application=None, live_only=False, **want):
        key = (application or stage["application"], live_only)
        if key not in self.verifiers:
            self.verifiers[key] = ProofVerifier(stage["url"], key[0], test_keys=not live_only)
        return plain(self.verifiers[key].verify(proof, **want))


def plain(answer):
    """An answer as JSON has it."""
    return json.loads(json.dumps(encode(answer), default=encode))


def field(value, path):
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else (value or {}).get(part)
        except IndexError:
            return None
    return value


def refusal(error):
    if isinstance(error, DialproofError):
        names = ("code", "status", "limit", "retry_after", "request_id")
        return {**{n: getattr(error, n) for n in names}, "errors": plain([vars(e) for e in error.errors])}
    if isinstance(error, DialproofConnectionError):
        return {"timeout": error.timeout}
    return {"webhook": isinstance(error, WebhookError), "proof": isinstance(error, ProofError)}


def hold(want, got, where):
    """Fails unless the answer is as expected."""
    if isinstance(want, dict):
        for path, w in want.items():
            hold(w, field(got, path), f"{where}.{path}")
    elif want == "*":
        assert got not in (None, ""), f"{where} is {got!r}"
    elif isinstance(want, str) and re.fullmatch(r">[\d.]+", want):
        assert got > float(want[1:]), f"{where} is {got!r}, want {want}"
    else:
        assert got == want, f"{where} is {got!r}, want {want!r}"


def play(scenario):
    player = Player()
    player.do_fault()
    for n, step in enumerate(scenario["steps"], 1):
        where = f"step {n}, {step['do']}"
        try:
            got = player.do(step)
        except (DialproofError, DialproofConnectionError, WebhookError, ProofError) as error:
            assert "refused" in step, f"{where}: {error}"
            hold(player.value(step["refused"]), refusal(error), where)
            continue
        assert "refused" not in step, f"{where} passed: {got!r}"
        if "save" in step:
            player.saved[step["save"]] = got
        if "expect" in step:
            hold(player.value(step["expect"]), got, where)


with open(sys.argv[1], encoding="utf-8") as file:
    for scenario in yaml.safe_load(file)["scenarios"]:
        try:
            play(scenario)
            print("ok " + scenario["name"], flush=True)
        except Exception as error:
            print(f"not ok {scenario['name']}: {type(error).__name__}: {error}".replace("\n", " "), flush=True)
