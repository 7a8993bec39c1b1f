"""What test/sdk/scenarios.yaml cannot show: settings, asyncio, signatures of methods, and what an error says."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import pathlib
import threading
import unittest
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer

import dialproof
from dialproof import AsyncDialproof, Dialproof, DialproofConnectionError, DialproofError
from dialproof._decode import encode, time
from dialproof._transport import _retry_after
from dialproof.models import CheckByNumber, CheckCode, Start


class Server:
    """Answers in turn, and notes what it was asked."""

    def __init__(self, *answers):
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.path, dict(self.headers), body))
                status, text, headers = answers[min(len(outer.asked), len(answers)) - 1]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


class Settings(unittest.TestCase):
    def test_are_judged_when_a_client_is_made(self):
        for url, key in [("", "k"), ("ftp://x", "k"), ("127.0.0.1:8080", "k"), ("http://x", ""), ("http://x", "a\nb")]:
            with self.assertRaises(ValueError):
                Dialproof(url, key)


class Methods(unittest.TestCase):
    def test_take_what_the_contract_takes(self):
        for method, model in [(Dialproof.start, Start), (Dialproof.check, CheckCode), (Dialproof.check_by_number, CheckByNumber)]:
            with self.subTest(method.__name__):
                given = set(inspect.signature(method).parameters) - {"self", "id", "idempotency_key"}
                self.assertEqual(given, {f.name for f in dataclasses.fields(model)})

    def test_are_the_same_for_asyncio(self):
        public = lambda c: {n for n in vars(c) if not n.startswith("_")}  # noqa: E731
        self.assertEqual(public(Dialproof), public(AsyncDialproof))


class Calls(unittest.TestCase):
    def test_carry_the_key_a_name_and_an_idempotency_key(self):
        with Server((503, "{}", {"Retry-After": "0"}), (201, "{}", {})) as server:
            client = Dialproof(server.url + "/base/", "dp_test_1", user_agent="shop/1")
            pauses = []
            client._transport._sleep, client._transport._jitter = pauses.append, lambda: 0.8
            client.cancel("../keys", idempotency_key="order-42")
        self.assertEqual(pauses, [0.2 * 1.2])
        for path, headers, _ in server.asked:
            self.assertEqual(path, "/base/v1/verifications/..%2Fkeys/cancel")
            self.assertEqual((headers["Authorization"], headers["Idempotency-Key"]), ("Bearer dp_test_1", "order-42"))
            self.assertTrue(headers["User-Agent"].startswith("shop/1 dialproof-python/"))

    def test_say_what_is_wrong_with_its_fields(self):
        problem = '{"code":"invalid_request","detail":"the request has one invalid field","errors":[{"field":"to","code":"x","detail":"is not a phone number"}]}'
        with Server((422, problem, {})) as server, self.assertRaises(DialproofError) as caught:
            Dialproof(server.url, "dp_test_1").start("12")
        self.assertEqual(str(caught.exception), "dialproof: invalid_request (422): the request has one invalid field; to: is not a phone number")

    def test_an_answer_that_breaks_off_is_no_answer(self):
        with Server((200, '{"id":', {"Content-Length": "1000"})) as server, self.assertRaises(DialproofConnectionError):
            Dialproof(server.url, "dp_test_1", retries=0).get("vrf_1")

    def test_do_not_print_a_number(self):
        with self.assertRaises(DialproofConnectionError) as caught:
            Dialproof("http://127.0.0.1:1", "dp_test_1", retries=0).list_page(to="+447700900123")
        self.assertNotIn("7700900123", str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)

    def test_asyncio(self):
        async def names():
            client = AsyncDialproof(server.url, "dp_test_1")
            return [v.id async for v in client.list(limit=2)]

        pages = [(200, '{"data":[{"id":"a"},{"id":"b"}],"next_cursor":"c2"}', {}), (200, '{"data":[{"id":"c"}],"next_cursor":null}', {})]
        with Server(*pages) as server:
            self.assertEqual(asyncio.run(names()), ["a", "b", "c"])
        self.assertEqual([path for path, _, _ in server.asked], ["/v1/verifications?limit=2", "/v1/verifications?limit=2&cursor=c2"])


class Events(unittest.TestCase):
    def test_are_about_a_verification_or_not(self):
        about = dialproof.Event("evt_1", "verification.approved", None, {"id": "vrf_1", "status": "approved", "new_field": 1})
        self.assertEqual((about.verification.id, about.verification.status), ("vrf_1", "approved"))
        self.assertIsNone(dialproof.Event("evt_2", "test.ping", None, {}).verification)


class Times(unittest.TestCase):
    def test_are_read_as_servers_write_them(self):
        for text, micro in [("2026-11-24T08:00:00Z", 0), ("2026-11-24T08:00:00.5Z", 500000), ("2026-11-24T08:00:00.123456789+00:00", 123456)]:
            self.assertEqual(time(text), datetime(2026, 11, 24, 8, 0, 0, micro, timezone.utc))
        self.assertEqual(encode(datetime(2026, 11, 24, 8, tzinfo=timezone.utc)), "2026-11-24T08:00:00Z")

    def test_retry_after(self):
        for header, want in [(None, 0), ("7", 7), ("-1", 0), ("soon", 0), ("9999999", 86400), ("Fri, 31 Dec 1999 23:59:59 GMT", 0)]:
            self.assertEqual(_retry_after(header), want)


class Source(unittest.TestCase):
    def test_is_that_of_python_3_9(self):
        for file in pathlib.Path(dialproof.__file__).parent.glob("*.py"):
            with self.subTest(file.name):
                tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
                imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "typing" for a in n.names}
                self.assertFalse(imported & {"TypeAlias", "NotRequired", "Required", "Self", "ParamSpec", "assert_never"})


if __name__ == "__main__":
    unittest.main()
