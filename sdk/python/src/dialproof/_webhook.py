from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional, Union

from ._decode import decode
from ._decode import time as read_time
from .models import Verification

TOLERANCE = 300
"""How far a webhook's time may be from ours, in seconds: an older one could be a replay."""


@dataclass
class Event:
    """What Dialproof tells an application. The same ``id`` may come twice: keep it with what you did."""

    id: str
    """Stays the same when the event is sent again."""
    type: str
    """A dotted word (``verification.approved``). Expect types that are not known yet."""
    timestamp: Optional[datetime]
    data: dict[str, Any]
    """Depends on ``type``: see ``verification``."""
    sequence: Optional[int] = None
    """Grows with each event of one verification: a smaller one than you have seen is older news."""
    delivery: Optional[str] = None
    """The id of the delivery that has changed, with ``delivery.updated``."""

    @property
    def verification(self) -> Optional[Verification]:
        """The verification as it was then, for the types ``verification.…`` and ``delivery.updated``."""
        about = self.type.startswith("verification.") or self.type == "delivery.updated"
        return decode(Verification, self.data) if about else None


class WebhookError(ValueError):
    """The request is not to be believed. Answer it with 400."""


def verify_webhook(body: Union[bytes, str], headers: Mapping[str, str], secrets: Union[str, Sequence[str]], now: Optional[float] = None) -> Event:
    """The event in a body, after its signature was verified (Standard Webhooks 1.0, HMAC-SHA-256).

    :param body: byte for byte what arrived
    :param headers: the request's headers, in any case
    :param secrets: the endpoint's secret (``whsec_…``), or several while they are rotated
    :raises WebhookError: when it is not to be believed
    """
    raw = body.encode() if isinstance(body, str) else body
    low = {k.lower(): v for k, v in headers.items()}
    id, stamp = low.get("webhook-id", ""), low.get("webhook-timestamp", "")
    if not id or not stamp.isdigit() or len(stamp) > 15:
        raise WebhookError("dialproof: webhook-id or webhook-timestamp is missing")
    away = int(time.time() if now is None else now) - int(stamp)
    if abs(away) > TOLERANCE:
        raise WebhookError(f"dialproof: the webhook's time is {away} s from ours")
    signed = f"{id}.{stamp}.".encode() + raw
    signatures = low.get("webhook-signature", "").split()
    if not any(_fits(signed, signatures, s) for s in ([secrets] if isinstance(secrets, str) else secrets)):
        raise WebhookError("dialproof: no signature of the webhook fits")
    try:
        event = json.loads(raw)
        stamped = event.get("timestamp")
        return Event(id, event.get("type", ""), read_time(stamped) if stamped else None, event.get("data") or {}, event.get("sequence"), event.get("delivery"))
    except (ValueError, AttributeError):
        raise WebhookError("dialproof: the webhook's body is no event") from None


def _fits(signed: bytes, signatures: Sequence[str], secret: str) -> bool:
    try:
        key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("dialproof: a webhook's secret is whsec_ and base64")
    want = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any([hmac.compare_digest(want, s.encode()) for s in signatures])
