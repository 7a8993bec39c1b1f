"""For an application's tests: reads codes off the handset of ``dialproof dev``, and starts ``dialproof dev`` where none
runs, so that no test needs a phone.

    with DevServer() as dev:
        dialproof = Dialproof(dev.url, dev.key)
        verification = dialproof.start("+447700900123")
        check = dialproof.check(verification.id, dev.handset.code("+447700900123"))
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from typing import Any, Optional

from ._decode import decode
from .models import HandsetMessage


class Handset:
    """The phone of a ``dialproof dev``. It is safe for many threads."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._read: dict[str, Any] = {}  # number → the newest message that code() has answered

    def messages(self, to: str) -> list[HandsetMessage]:
        """What a number got, newest first. The number is E.164."""
        with urllib.request.urlopen(f"{self._base}/dev/messages?to={urllib.parse.quote(to)}", timeout=10) as response:
            return [decode(HandsetMessage, m) for m in json.load(response)]

    def code(self, to: str, *, timeout: float = 10) -> str:
        """The code in the newest message to a number. Each message is answered once: the next call waits for the next."""
        end = time.monotonic() + timeout
        while True:
            newest = next(iter(self.messages(to)), None)
            if newest and newest.at != self._read.get(to):
                self._read[to] = newest.at
                code = code_in(newest.text)
                if not code:
                    raise LookupError("the newest message holds no code")
                return code
            if time.monotonic() > end:
                raise TimeoutError(f"no new message to {to}")
            time.sleep(0.02)


def code_in(text: str) -> str:
    """The code in the text of a message or a call, or "". A code is 6 to 10 digits and capitals; in a call they are said
    one by one. Of several candidates the first with a digit is taken."""
    said = re.search(r"\b[0-9A-Z](?:, [A-Z][a-z-]+)?(?:, [0-9A-Z]\b(?:, [A-Z][a-z-]+)?){5,9}", text, re.ASCII)
    if said:
        return "".join(re.findall(r"\b[0-9A-Z]\b", said.group().replace("X-ray", ""), re.ASCII))
    words = re.findall(r"\+?[^\W_]+(?:[.,]\d+)*", text)
    codes = [w for w in words if re.fullmatch("[0-9A-Z]{6,10}", w)]
    return next((c for c in codes if re.search("[0-9]", c)), codes[0] if codes else "")


class DevServer:
    """A ``dialproof dev`` of a test's own, with an empty store, on a free port, until the end of the ``with``. The program
    is ``binary``, the one that DIALPROOF_BIN names, or the ``dialproof`` of PATH."""

    def __init__(self, binary: Optional[str] = None) -> None:
        self._data = tempfile.TemporaryDirectory(prefix="dialproof-")
        program = binary or os.environ.get("DIALPROOF_BIN") or "dialproof"
        self._process = subprocess.Popen([program, "dev", "--listen", "127.0.0.1:0", "--data", self._data.name], stdout=subprocess.PIPE, text=True)
        out = self._process.stdout
        assert out is not None
        self.url = ""
        for line in out:
            found = re.search(r"API .*?(https?://[^/\s]+)", line)
            if found:
                self.url = found.group(1)
                break
        if not self.url:
            raise RuntimeError(f"dialproof dev ended with {self._process.wait()}")
        threading.Thread(target=out.read, daemon=True).start()
        with open(os.path.join(self._data.name, "dev.key"), encoding="ascii") as file:
            self.key = file.read().strip()
        self.handset = Handset(self.url)

    def __enter__(self) -> DevServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._data.cleanup()
