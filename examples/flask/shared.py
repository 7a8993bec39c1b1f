"""What both examples share: pages, and words for errors."""

import logging

from dialproof import DialproofError
from flask import render_template_string

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ title }}</title>
<body style="font: 1.1rem system-ui; max-width: 24rem; margin: 3rem auto; padding: 0 1rem">
{% if note %}<p role="status">{{ note }}</p>{% endif %}<h1>{{ title }}</h1>
"""


def show(title, body, note="", **values):
    return render_template_string(PAGE + body, title=title, note=note, **values)


def words(error):
    """What a person should do about an error."""
    if not isinstance(error, DialproofError) or error.status >= 500:
        logging.error(error)
        return "We cannot send codes right now. Please try again in a minute."
    if error.code in ("rate_limited", "number_locked"):
        return f"Too many tries. Please wait {error.retry_after:.0f} seconds."
    if error.code == "invalid_request":
        return "That is not a phone number that we can send to."
    if error.code in ("number_blocked", "no_route"):
        return "We cannot send to this number. Please use another one."
    return "That code is no longer good. Please start again."
