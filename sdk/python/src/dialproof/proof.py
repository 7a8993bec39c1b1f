"""Proofs: signed statements of approvals, checked with the server's public keys. Needs ``pip install dialproof[proof]``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, Optional

from ._decode import decode
from .models import Channel, Transaction

LEEWAY = 30
"""How far the clocks of two machines may be apart, in seconds."""


class ProofError(ValueError):
    """The proof proves nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(f"dialproof: proof refused: {why}")


@dataclass
class Proof:
    """What a signed statement of an approval says."""

    id: str
    """Is taken once (jti)."""
    issuer: str
    application: str
    verification: str
    number_hash: str
    """The SHA-256 of the number in E.164, in lower-case hexadecimal."""
    number: Optional[str]
    """Is there when the check asked for ``proof="number"``."""
    country: str
    purpose: str
    channel: Channel
    methods: list[str]
    """Authentication methods of RFC 8176 (``otp``, ``sms``)."""
    mode: Literal["live", "test"]
    """``test`` when the key was in test mode: then it says nothing about any real phone."""
    transaction: Optional[Transaction]
    """The payment that the person agreed to."""
    approved_at: datetime
    expires_at: datetime


class ProofVerifier:
    """Checks proofs without asking the server about each, and takes each proof once. It is safe for many threads; make one
    and keep it.

    :param application: your application's id (``app_…``): a proof for another one proves nothing here
    :param test_keys: take proofs of test keys too, which say nothing about any real phone
    :param once: a memory of taken proofs that several processes share: answers whether an id is new, and keeps it until
        the time given with it
    """

    def __init__(self, base_url: str, application: str, *, test_keys: bool = False, once: Optional[Callable[[str, datetime], bool]] = None) -> None:
        if not application.startswith("app_"):
            raise ValueError("dialproof: the application's id is needed (app_…)")
        self._url = base_url.rstrip("/") + "/.well-known/jwks.json"
        self._application, self._test = application, test_keys
        self._once = once or self._take_once
        self._lock = threading.Lock()
        self._keys: dict[str, bytes] = {}
        self._fetched = float("-inf")
        self._taken: dict[str, datetime] = {}
        self._now: Callable[[], float] = time.time

    def verify(
        self,
        proof: str,
        *,
        to: Optional[str] = None,
        purpose: Optional[str] = None,
        transaction: Optional[Transaction] = None,
        verification: Optional[str] = None,
    ) -> Proof:
        """What a proof says, once: a second call with the same proof fails. What is left out may be anything.

        :param to: the number in E.164
        :param verification: the id that your start answered
        :raises ProofError: when it proves nothing
        """
        claims = self._signed(proof)
        answer = _proof(claims, self._application)
        why = self._objection(answer, to, purpose, transaction, verification)
        if why:
            raise ProofError(why)
        if not self._once(answer.id, datetime.fromtimestamp(answer.expires_at.timestamp() + LEEWAY, timezone.utc)):
            raise ProofError("it was taken before")
        return answer

    def _signed(self, proof: str) -> Any:
        """The claims, after the signature (RFC 7515, RFC 8037)."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        parts = proof.split(".")
        if len(proof) > 4096 or len(parts) != 3:
            raise ProofError("it is no JWT")
        head = _segment(parts[0])
        if head.get("alg") != "EdDSA" or "crit" in head:
            raise ProofError("it is not signed with EdDSA")
        key = self._key(head.get("kid"))
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(_bytes(parts[2]), f"{parts[0]}.{parts[1]}".encode())
        except (InvalidSignature, ValueError):
            raise ProofError("its signature does not hold") from None
        return _segment(parts[1])

    def _objection(self, p: Proof, to: Optional[str], purpose: Optional[str], transaction: Optional[Transaction], verification: Optional[str]) -> str:
        """Why a well-signed proof is not taken, or ""."""
        now = self._now()
        if not p.application:
            return "it is for another application"
        if not p.id or p.expires_at <= p.approved_at:
            return "its claims are not those of a proof"
        if now > p.expires_at.timestamp() + LEEWAY:
            return "it is over"
        if now < p.approved_at.timestamp() - LEEWAY:
            return "it is from the future"
        if p.mode != "live" and not (self._test and p.mode == "test"):
            return "it is of a test key"
        if to and not hmac.compare_digest(p.number_hash.encode(), hashlib.sha256(to.encode()).hexdigest().encode()):
            return "it is about another number"
        if purpose and p.purpose != purpose:
            return "it is for another purpose"
        if transaction and p.transaction != transaction:
            return "it is about another transaction"
        if verification and p.verification != verification:
            return "it is of another verification"
        return ""

    def _take_once(self, id: str, expires: datetime) -> bool:
        with self._lock:
            now = self._now()
            self._taken = {old: end for old, end in self._taken.items() if end.timestamp() >= now}
            if id in self._taken:
                return False
            self._taken[id] = expires
            return True

    def _key(self, name: Any) -> bytes:
        """A public key, kept for five minutes. An unknown name fetches the keys again, but at most every ten seconds."""
        with self._lock:
            age = self._now() - self._fetched
            if age >= 300 or (name not in self._keys and age >= 10):
                try:
                    self._keys = self._fetch()
                    self._fetched = self._now()
                except OSError:
                    if name not in self._keys:
                        raise
            if name not in self._keys:
                raise ProofError("the server has no such key")
            return self._keys[name]

    def _fetch(self) -> dict[str, bytes]:
        with urllib.request.urlopen(self._url, timeout=10) as response:
            keys = json.loads(response.read(256 << 10))["keys"]
        return {k["kid"]: _bytes(k["x"]) for k in keys if k.get("kty") == "OKP" and k.get("crv") == "Ed25519"}


def _proof(claims: dict[str, Any], application: str) -> Proof:
    audience = claims.get("aud")
    audience = audience if isinstance(audience, list) else [audience]
    paid = claims.get("transaction")

    def text(name: str) -> Any:
        value = claims.get(name)
        return value if isinstance(value, str) else ""

    def moment(name: str) -> datetime:
        value = claims.get(name)
        return datetime.fromtimestamp(value if isinstance(value, (int, float)) else 0, timezone.utc)

    return Proof(
        id=text("jti"),
        issuer=text("iss"),
        application=application if application in audience else "",
        verification=text("verification"),
        number_hash=text("sub"),
        number=text("phone_number") or None,
        country=text("country"),
        purpose=text("purpose"),
        channel=text("channel"),
        methods=claims.get("amr") or [],
        mode=text("mode"),
        transaction=decode(Transaction, paid) if paid else None,
        approved_at=moment("iat"),
        expires_at=moment("exp"),
    )


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _segment(text: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(text))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ProofError("it is no JWT")
    return value
