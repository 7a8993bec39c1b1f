"""JSON to and from the data classes of ``models``."""

from __future__ import annotations

import dataclasses
import re
import typing
from datetime import datetime, timezone
from typing import Any, TypeVar

T = TypeVar("T")

_FRACTION = re.compile(r"\.(\d+)")


_known: dict[Any, dict[str, Any]] = {}


def _hints(cls: Any) -> dict[str, Any]:
    if cls not in _known:
        _known[cls] = typing.get_type_hints(cls)
    return _known[cls]


def decode(cls: type[T], value: Any) -> T:
    """A data class out of an answer. Fields that it does not know are dropped: a newer server may have them."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    hints = _hints(cls)
    known = {f.name: _value(hints[f.name], value.get(f.name)) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**known)


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return _value(next(a for a in args if a is not type(None)), value)
    if origin is list:
        return [_value(args[0], v) for v in value]
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), value)
    if hint is datetime:
        return time(value)
    return value


def time(text: str) -> datetime:
    """RFC 3339, of which Python before 3.11 reads neither the Z nor nanoseconds."""
    text = _FRACTION.sub(lambda m: "." + m.group(1)[:6].ljust(6, "0"), text)
    return datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))


def encode(value: Any) -> Any:
    """What goes into a request: data classes become objects, and what was left out stays out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(v) for f in dataclasses.fields(value) if (v := getattr(value, f.name)) is not None}
    if isinstance(value, dict):
        return {k: encode(v) for k, v in value.items() if v is not None}
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.astimezone()).astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value
