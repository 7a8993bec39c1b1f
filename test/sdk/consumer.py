"""A program of a user, for mypy: what is right passes, and what is wrong does not (unused ignores are errors)."""

from __future__ import annotations

from dialproof import AsyncDialproof, Check, Dialproof, DialproofError, Verification, verify_webhook
from dialproof.proof import ProofVerifier

dialproof = Dialproof("http://127.0.0.1:8080", "dp_test_1")
verification: Verification = dialproof.start("+447700900123", channel="voice", metadata={"user": "42"})
check: Check = dialproof.check(verification.id, "123456", proof="hash")
approved: bool = check.result == "approved"
event = verify_webhook(b"", {}, ["whsec_"])
left: int | None = event.verification.attempts_left if event.verification else None
approved_at = ProofVerifier("", "app_1").verify(check.proof or "", purpose="login").approved_at.isoformat()
try:
    dialproof.get("vrf_1")
except DialproofError as error:
    late: bool = error.code == "rate_limited"
    never: bool = error.code == "rate_limit"  # type: ignore[comparison-overlap]
dialproof.start("+447700900123", channel="pigeon")  # type: ignore[arg-type]
dialproof.start(channel="sms")  # type: ignore[call-arg]
wrong: bool = check.result == "correct"  # type: ignore[comparison-overlap]


async def later() -> None:
    client = AsyncDialproof("http://127.0.0.1:8080", "dp_test_1")
    started: Verification = await client.start("+447700900123", channel="voice")
    await client.start("+447700900123", channel="pigeon")  # type: ignore[arg-type]
    async for one in client.list(status="pending"):
        assert one.id != started.id
