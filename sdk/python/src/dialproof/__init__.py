"""Dialproof: prove that a person holds a phone number.

    from dialproof import Dialproof

    dialproof = Dialproof("https://verify.example.com", os.environ["DIALPROOF_KEY"])
    verification = dialproof.start("+447700900123")
    check = dialproof.check(verification.id, "123456")
    if check.result == "approved": ...

It needs nothing but the standard library. ``models`` is made from the contract, api/openapi.yaml.
"""

from ._async import AsyncDialproof
from ._client import Dialproof
from ._errors import DialproofConnectionError, DialproofError
from ._webhook import Event, WebhookError, verify_webhook
from .models import Autofill, Check, Delivery, Device, FieldError, Link, Transaction, Verification, VerificationPage

__all__ = [
    "AsyncDialproof",
    "Autofill",
    "Check",
    "Delivery",
    "Device",
    "Dialproof",
    "DialproofConnectionError",
    "DialproofError",
    "Event",
    "FieldError",
    "Link",
    "Transaction",
    "Verification",
    "VerificationPage",
    "WebhookError",
    "verify_webhook",
]
__version__ = "0.1.0"
