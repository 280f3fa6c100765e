"""Whose code it is, where it goes, and in which lane it counts.

Everybody who knows an address can ask for codes to it and get them wrong. Were failures counted for the subject alone,
as many do, a stranger could keep its owner out for ever. So they are counted in lanes:

- A browser that has once shown a right code holds a *familiar* token (``Verification.familiar``, to be kept in a cookie
  that lives long; it lets nobody in) and has a lane to itself, for its failures and for its sends. This is OWASP's
  *device cookie* (Slow Down Online Guessing Attacks with Device Cookies).
- Strangers, whoever has none, are counted by their address (``ip``), and all of a subject's together as well. After a
  hundred failures of all of them in a row (the cap of NIST SP 800-63B, 5.2.2) no stranger gets a code for a day; they
  have one cooldown and one budget of sends together, for these guard the owner's mailbox.

So a stranger can lock out himself, and strangers as such, but no browser that is familiar; and the lane is fixed when
the code is asked for, with the challenge's id known to none but who asked: nobody can use up another's attempts. What
remains: an owner who comes with a new browser while an attack goes on waits with the strangers.

1. A stranger fails ten times for ada  2. his address is locked  3. ada asks at home: familiar, or of another address.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from secrets import token_hex
from typing import Final

from redis_toolkit.core.clients import counted_address
from redis_toolkit.otp.peppers import first_pepper, peppers

__all__ = ["Subject", "familiar_token", "folded", "guess_lane", "mailbox", "one_destination", "send_lane"]

#: Whose code it is: an address, or a user's primary key.
Subject = str | int

_LONGEST: Final = 254
_PHONE: Final = re.compile(r"\+?[0-9(][0-9 ().\-]*[0-9]\Z")
_HEX64: Final = re.compile(r"[0-9a-f]{64}\Z")


def folded(subject: Subject) -> str:
    """``subject`` as it is counted: without case and outer spaces, and a number told from the text of it.

    Raises TypeError for what is neither text nor a whole number, and ValueError for nothing.
    """
    given: object = subject
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise TypeError(f"A code is for text (an address) or a whole number (a primary key), not {given!r}.")
    if isinstance(given, int):
        return f"#{given}"
    text = unicodedata.normalize("NFKC", given).strip().casefold()
    if not text:
        raise ValueError("Whose code is it? There is no subject.")
    return "'" + text


def one_destination(text: str) -> str:
    """Where a code goes: exactly one address or number, normalised. Raises ValueError, TypeError.

    No list (CVE-2022-35924), no display name, nothing that would end a line of a header. A number has one spelling, or
    there would be a budget for each: ASCII's digits alone, and ``+`` for ``00``; without letters nothing else will do.
    """
    given: object = text
    if not isinstance(given, str):
        raise TypeError(f"A code goes to an address or a number, not to {given!r}: say destination=.")
    found = given.strip()
    number = "".join(str(unicodedata.decimal(each, each)) for each in unicodedata.normalize("NFKC", found))
    if _PHONE.match(number):
        return re.sub(r"^00", "+", re.sub(r"[^0-9+]", "", number))
    local, at, domain = found.rpartition("@")
    wrong = (
        (not at and (number.startswith("+") or not any(each.isalpha() for each in found)))
        or len(found) > _LONGEST
        or "@" in local
        or (at and not (local and domain))
        or any(each in ',;:<>()[]\\"' or each.isspace() or not each.isprintable() for each in found)
    )
    if wrong:
        raise ValueError("A code goes to exactly one address or number, and this is none.")
    return f"{local}@{domain.lower()}" if at else found


def mailbox(destination: str) -> str:
    """What is counted of a destination: an address without its case, and without what follows a ``+`` in it."""
    local, at, domain = destination.rpartition("@")
    return folded(f"{local.partition('+')[0] or local}@{domain}" if at else destination)


def familiar_token(purpose: str, subject: Subject) -> str:
    """A token that makes the browser which holds it familiar for ``subject``: 64 hexadecimal digits."""
    nonce = token_hex(16)
    return nonce + first_pepper().mac("familiar", purpose, folded(subject), nonce).hex()[:32]


def _nonce(purpose: str, subject: Subject, token: str | None) -> str | None:
    given: object = token
    if not isinstance(given, str) or not _HEX64.match(given):
        return None
    nonce, mac = given[:32], given[32:]
    for pepper in peppers():
        if hmac.compare_digest(mac, pepper.mac("familiar", purpose, folded(subject), nonce).hex()[:32]):
            return nonce
    return None


def send_lane(purpose: str, subject: Subject, familiar: str | None) -> str:
    """The lane in which sends count: of a familiar browser, or ``"s"`` of all strangers."""
    nonce = _nonce(purpose, subject, familiar)
    return "s" if nonce is None else "d" + nonce[:16]


def guess_lane(sends: str, ip: str | None) -> str:
    """The lane in which wrong codes count: of strangers that of their address."""
    if sends != "s" or ip is None:
        return sends
    return "s" + first_pepper().mac("lane", counted_address(ip) or ip).hex()[:16]
