# Made from api/openapi.yaml by sdk/generate.sh: do not edit.

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Optional


@dataclass
class Autofill:
    """
    One of the two. It ends the message, so that the code fills itself in.
    """

    origin: Optional[str] = None
    """
    The host of your page. It must be among the application's origins.
    """
    app_hash: Optional[str] = None
    """
    Your Android app's hash (SMS Retriever).
    """


@dataclass
class Device:
    """
    What you know of the person's side. The address is limited.
    """

    ip: Optional[str] = None
    user_agent: Optional[str] = None
    device_id: Optional[str] = None


@dataclass
class Link:
    id: str
    """
    Keep it with the person's session: the proof's claim `link` must be the same.
    """
    url: str
    """
    Treat it as a secret of the person whom you send there.
    """
    expires_at: datetime


ProofForm = Literal['hash', 'number']
"""
Asks for a `proof` when the code is approved. `hash` names the number by its SHA-256 alone; `number` names it in full as well.

"""


Status = Literal['pending', 'approved', 'failed', 'expired', 'canceled']
"""
All but `pending` are final.
"""


Result = Literal['approved', 'incorrect', 'expired', 'exhausted', 'canceled', 'used']
"""
`approved`: this code, this once. `incorrect`: try again. `exhausted`: wrong, and that was the last attempt, or the attempts were
used up before. `used`: it was approved before. `expired`, `canceled`: start anew.

"""


DeliveryStatus = Literal['queued', 'sending', 'accepted', 'sent', 'delivered', 'undelivered', 'failed', 'unknown']


Channel = Literal['sms', 'voice', 'whatsapp', 'telegram', 'email']
"""
`email` confirms a mail address and needs `email` in the start. It is no second factor and proves no number: see `proves`.
"""


Proves = Literal['phone', 'email', 'phone_or_email']
"""
What an approved code shows that the person holds. `phone`: the number, as the code went there and nowhere else. `email`: the mail
address alone, which is no second factor. `phone_or_email`: the code went both ways, so that nobody knows which of the two the person
read. Where the number matters, take `phone` and nothing else.

"""


Region = str
"""
ISO 3166, for numbers in national form.
"""


Purpose = str
"""
`registration`, `login` (the default), `password_reset`, `transaction`, `profile_change` have texts of their own; or your own word.
"""


CodeLength = int


Alphabet = Literal['digits', 'alphanumeric']


ExpiresIn = int
"""
Seconds.
"""


MaxAttempts = int


Metadata = dict[str, str]
"""
Yours, given back as it is. At most 20 entries.
"""


@dataclass
class Transaction:
    """
    A payment. It stands in the message, and the code is right for it alone (PSD2 dynamic linking).
    """

    amount: str
    currency: str
    payee: str


@dataclass
class Next:
    channel: Channel
    at: datetime


ErrorCode = Literal['bad_request', 'malformed_json', 'unauthenticated', 'key_expired', 'forbidden', 'number_blocked', 'not_found', 'method_not_allowed', 'not_pending', 'page_unavailable', 'resends_used_up', 'idempotency_in_flight', 'name_taken', 'webhook_disabled', 'too_many_webhooks', 'body_too_large', 'unsupported_media_type', 'invalid_request', 'invalid_idempotency_key', 'idempotency_key_reused', 'transaction_mismatch', 'email_required', 'number_reserved', 'no_route', 'rate_limited', 'number_locked', 'internal', 'busy', 'store_unavailable', 'stopping']
"""
Stable. docs/errors.md says what to do about each.
"""


@dataclass
class FieldError:
    field: str
    """
    Where in the body, like `transaction.amount`.
    """
    code: str
    detail: str


@dataclass
class HandsetMessage:
    to: str
    from_: str
    channel: Channel
    text: str
    at: datetime


@dataclass
class Problem:
    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode
    instance: str
    """
    The request id.
    """
    retry_at: Optional[datetime] = None
    """
    When to come back.
    """
    limit: Optional[str] = None
    """
    Which limit refused: number_gap, number_hour, number_day, number_wrong_day, number_wrong_streak, client_hour, client_day, email_hour, email_day, link or application_hour.
    """
    errors: Optional[list[FieldError]] = None


@dataclass
class Start:
    to: str
    """
    E.164 (`+447700900123`), or a national number with `region`. Spaces, hyphens and digits of other scripts are understood.
    """
    region: Optional[Region] = None
    channel: Optional[Channel] = None
    email: Optional[str] = None
    """
    The person's mail address, needed for the channel `email` and used for nothing else. It may have 254 octets once its domain is in ASCII.
    """
    purpose: Optional[Purpose] = None
    locale: Optional[str] = None
    """
    A language tag (BCP 47). Without it, the application's or the number's country decides.
    """
    code_length: Optional[CodeLength] = None
    code_alphabet: Optional[Alphabet] = None
    code: Optional[str] = None
    """
    A code of your own.
    """
    expires_in: Optional[ExpiresIn] = None
    max_attempts: Optional[MaxAttempts] = None
    transaction: Optional[Transaction] = None
    autofill: Optional[Autofill] = None
    client: Optional[Device] = None
    metadata: Optional[Metadata] = None


@dataclass
class Resend:
    channel: Optional[Channel] = None


@dataclass
class CheckCode:
    code: str
    """
    What the person typed or pasted. Digits of any script, spaces and dashes are read; of a whole message with a code of digits, its only run of the right length.
    """
    transaction: Optional[Transaction] = None
    proof: Optional[ProofForm] = None


@dataclass
class CheckByNumber:
    to: str
    code: str
    """
    What the person typed or pasted, as in a check by id.
    """
    region: Optional[Region] = None
    purpose: Optional[Purpose] = None
    transaction: Optional[Transaction] = None
    proof: Optional[ProofForm] = None


@dataclass
class NewLink:
    """
    With one of `return_url` and `embed`.
    """

    to: Optional[str] = None
    """
    The number. Left out, the person types it; given, they cannot change it.
    """
    region: Optional[str] = None
    """
    ISO 3166, for a national number in `to`; without `to`, the country that the page suggests.
    """
    purpose: Optional[Purpose] = None
    locale: Optional[str] = None
    """
    Of the page and of the message. Without it, the application's, or the languages of the browser.
    """
    channel: Optional[Channel] = None
    return_url: Optional[str] = None
    """
    Where the person goes at the end. Its origin must be among the application's `return_urls`; a key in test mode may also name localhost.
    """
    embed: Optional[str] = None
    """
    The origin of your page that shows the widget, by the same rule.
    """
    state: Optional[str] = None
    """
    Yours, given back at the end. Bind it to the person's session, and compare it.
    """
    expires_in: Optional[int] = None
    """
    Seconds until the link is over. 900 without it.
    """
    transaction: Optional[Transaction] = None
    no_autofill: Optional[bool] = None
    """
    Leaves out the last line of messages, which lets the browser fill the code in by itself.
    """
    metadata: Optional[Metadata] = None


@dataclass
class Check:
    id: str
    status: Status
    result: Result
    counted: bool
    """
    Whether a code was compared, which uses an attempt. `false` with the result `incorrect` means that the text cannot be
    the code: it has another length, or letters where the code has digits. A verification takes 20 of these a minute.

    """
    to: str
    """
    Masked.
    """
    proves: Proves
    purpose: Purpose
    attempts_left: int
    expires_at: datetime
    metadata: Metadata
    proof: Optional[str] = None
    """
    Only when it was asked for, the result is `approved` and `proves` is `phone`: a JWT, signed with EdDSA by a key of `/.well-known/jwks.json`. Whoever
    gets it checks the signature, `aud` (the application's id), `exp` (five minutes after the approval), `mode` (`live`), and takes each
    `jti` once. A claim `link` names the link that led the person to the hosted page. `sub` is the SHA-256 of the number in E.164, in lower-case hexadecimal.

    """


@dataclass
class Delivery:
    id: str
    channel: Channel
    route: str
    status: DeliveryStatus
    created_at: datetime
    updated_at: datetime
    reason: Optional[str] = None
    """
    Why this route.
    """
    error: Optional[str] = None
    """
    The kind of failure: rejected, refused, throttled, unavailable or unknown.
    """
    error_code: Optional[str] = None
    """
    The provider's own code.
    """
    parts: Optional[int] = None
    price: Optional[str] = None
    """
    A decimal number: what the provider said, or else what the route's price list says, which has no currency.
    """
    currency: Optional[str] = None


@dataclass
class Verification:
    id: str
    status: Status
    to: str
    """
    Masked; empty once the retention time is over.
    """
    country: str
    """
    ISO 3166; empty for numbers of no country.
    """
    proves: Proves
    purpose: Purpose
    channel: Channel
    code_length: CodeLength
    created_at: datetime
    expires_at: datetime
    attempts_left: int
    resends_left: int
    deliveries: list[Delivery]
    metadata: Metadata
    email: Optional[str] = None
    """
    Masked; absent without one, and once the retention time is over.
    """
    ended_at: Optional[datetime] = None
    """
    When it became final.
    """
    resend_at: Optional[datetime] = None
    """
    From when a resend is taken. Absent when none is.
    """
    next: Optional[Next] = None
    """
    What the application's `fallback` does by itself, and when, unless a message arrives before. Absent when nothing follows.
    """


@dataclass
class VerificationPage:
    data: list[Verification]
    next_cursor: Optional[str]
    """
    Null on the last page. A page may be short and still not the last.
    """
