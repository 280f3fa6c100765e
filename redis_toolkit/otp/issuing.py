"""How a code comes into being, and what becomes of one that cannot be sent: flows.

Known and unknown subjects take the same steps at the same cost. Either whoever asks knows which it is, and has a decoy
issued (its code is minted, hashed and thrown away, and its record holds random bytes instead of the digest, counts like
any other, and answers as to a wrong code). Or nobody knows yet: the challenge is held, the answer goes out, and only
then the account is looked up and the challenge directed to it. Of who has none it stays held, and each try is wrong.

With a worker: the web process reserves, or holds and directs (the record waits, and any try is wrong), hands on the
challenge's id and nothing else, and the worker mints the code, arms the record and sends. So no code passes through the
broker.

1. A reserves  2. the worker arms  3. the mail server refuses: the worker disarms, and a later try mints another code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final, Literal

from redis_toolkit.core.connections import pack
from redis_toolkit.core.scripts import Script
from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp.answers import Issued
from redis_toolkit.otp.budgets import Budget, give_back, kept, spend
from redis_toolkit.otp.challenges import Challenge, Kind
from redis_toolkit.otp.flows import Flow, moment
from redis_toolkit.otp.peppers import first_pepper
from redis_toolkit.otp.policies import Terms, Whose
from redis_toolkit.otp.subjects import Subject, folded, guess_lane, mailbox, one_destination, send_lane
from redis_toolkit.signals import code_issued, code_refused

__all__ = ["Mode", "arming", "cancelling", "directing", "issuing", "resending"]

_ISSUE: Final = Script("otp_issue")
_ARM: Final = Script("otp_arm")
_CANCEL: Final = Script("otp_cancel")
_DIRECT: Final = Script("otp_direct")
_MICRO: Final = 1_000_000
_SENT, _GONE = 0, 4
_REASONS: Final = {1: "locked", 2: "cooldown", 3: "quota"}

#: A code is made at once, is made later by a worker, may be made when it is known for whom, or never is.
Mode = Literal["code", "reserve", "hold", "decoy"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for, put in order."""

    kind: Kind
    mode: Mode
    is_nobodys: bool
    subject: Subject
    destination: str
    terms: Terms
    tag: str
    lane: str
    send: str
    budgets: list[Budget]

    @classmethod
    def of(cls, kind: Kind, mode: Mode, subject: Subject, terms: Terms, *, is_nobodys: bool) -> _Asked:
        """Raises TypeError and ValueError for what cannot be."""
        tag = kind.tag(subject)
        given = terms.get("destination")
        destination = one_destination(subject if given is None else given)  # type: ignore[arg-type]  # says what is wrong
        policy, ip = kind.policy, terms.get("ip")
        budgets = kept(kind.name, "ip", ip, policy.per_ip) if ip else []
        # (Of what is held it is counted when that is directed: a refusal before would tell of an account.)
        if mode != "hold" and folded(destination) != folded(subject):
            budgets += kept(kind.name, "destination", mailbox(destination), policy.sends)
        budgets += kept(kind.name, "prefix", destination, policy.per_prefix)
        budgets += kept(kind.name, "total", "", policy.total)
        lane = send_lane(kind.name, subject, terms.get("familiar"))
        return cls(kind, mode, is_nobodys, subject, destination, terms, tag, lane, token_hex(8), budgets)

    def challenges(self) -> Iterator[tuple[Challenge, bool]]:
        """Under which challenge a code may be issued, and whether that has to be there: of a resend the old one."""
        old = Challenge.read(self.kind, self.terms.get("challenge"))
        if old is not None and old.tag == self.tag:
            yield old, True
        yield Challenge.fresh(self.kind, self.tag), False

    def call(self, challenge: Challenge, code: str, *, is_resend: bool) -> bytes:
        """The script that issues ``code`` under ``challenge``."""
        policy, pepper = self.kind.policy, first_pepper()
        sealed = challenge.seal({
            "s": self.subject, "d": self.destination, "p": self.terms.get("payload"),
            "n": int(self.is_nobodys), "b": [budget.key for budget in self.budgets],
        })  # fmt: skip
        waits = {"reserve": "pending", "hold": "held"}.get(self.mode)
        state: tuple[str, ...] = ("state", waits or "armed")
        if not waits:
            digest = challenge.digest(pepper, code)
            # (Of a decoy it is computed as well: it costs as much.)
            state += ("digest", token_hex(32) if self.mode == "decoy" else digest)
        sends = policy.sends
        return _ISSUE.call_on(
            (challenge.record, self.kind.failures(self.tag), self.kind.sent(self.tag, self.lane)),
            moment(), guess_lane(self.lane, self.terms.get("ip")), self.send, policy.cooldown,
            sends.limit if sends else 0, sends.period if sends else 0, policy.life, str(int(is_resend)),
            challenge.bound(self.terms.get("binding")), "max", policy.attempts, "pepper", pepper.name,
            "sealed", sealed, "log", self.lane, "again", str(int(is_resend)), *state,
        )  # fmt: skip

    def refuse(self, reason: str, wait: float) -> CodeRefused:
        """The error for a code that is not sent; the signal is."""
        code_refused.send_robust(sender=None, purpose=self.kind.name, subject=self.tag, reason=reason)
        text = {
            "cooldown": "a code was sent a moment ago", "quota": "as many codes as may be were sent lately",
            "locked": "there were too many wrong codes",
        }[reason]  # fmt: skip
        return CodeRefused(f"No code was sent: {text}.", reason=reason, retry_after=wait)


def issuing(kind: Kind, mode: Mode, subject: Subject, terms: Terms, *, is_nobodys: bool | None = None) -> Flow[Issued]:
    """Issue: one round trip, one more if there are budgets, and one if the challenge of a resend is gone.

    ``is_nobodys``: whether there is nobody, or nobody yet, to send to; None: as the mode says.
    """
    nobodys = mode in {"decoy", "hold"} if is_nobodys is None else is_nobodys
    asked = _Asked.of(kind, mode, subject, terms, is_nobodys=nobodys)
    wait = yield from spend(asked.budgets, asked.send)
    if wait is not None:
        raise asked.refuse("quota", wait)
    code = kind.mint() if mode in {"code", "decoy"} else ""
    for challenge, is_resend in asked.challenges():
        [[status, micro]] = yield [asked.call(challenge, code, is_resend=is_resend)], True
        if status == _GONE:
            continue
        if status != _SENT:
            # Who reports an error may show what is known where it was raised.
            del code
            yield from give_back([budget.key for budget in asked.budgets], asked.send)
            raise asked.refuse(_REASONS[status], micro / _MICRO)
        if mode == "code":
            code_issued.send_robust(sender=None, purpose=kind.name, subject=asked.tag, resend=is_resend)
        return Issued(
            challenge=str(challenge), code=kind.written(challenge, code) if mode == "code" else "",
            expires_in=kind.policy.life / _MICRO, resend_in=kind.policy.cooldown / _MICRO,
            destination=asked.destination, payload=terms.get("payload"), send=asked.send, is_resend=is_resend,
            is_decoy=mode == "decoy",
        )  # fmt: skip
    raise AssertionError("a fresh challenge is never gone")


def resending(kind: Kind, text: object, mode: Mode, terms: Whose) -> Flow[Issued]:
    """Another code for what is known by its challenge alone; a decoy stays one. One round trip more than issuing."""
    challenge = Challenge.read(kind, text)
    contents = None
    if challenge is not None:
        [[sealed, state, bound]] = yield [pack(("HMGET", challenge.record, "sealed", "state", "binding"))], True
        is_own = not bound or bound.decode() == challenge.bound(terms.get("binding"))
        contents = challenge.unseal(sealed) if state != b"spent" and is_own else None
    if contents is None:
        raise CodeRefused("No code was sent: the challenge is over; begin anew.", reason="expired")
    again: Terms = {
        "destination": contents["d"], "payload": contents["p"], "challenge": str(challenge),
        "binding": terms.get("binding"), "ip": terms.get("ip"), "familiar": terms.get("familiar"),
    }  # fmt: skip
    nobodys = bool(contents["n"])
    then: Mode = "decoy" if nobodys and mode != "hold" else mode
    return (yield from issuing(kind, then, contents["s"], again, is_nobodys=nobodys))


def directing(kind: Kind, held: Issued, destination: str | None, payload: Any) -> Flow[bool]:
    """Direct what was held to ``destination``; None: to where it was directed before. Two round trips, or three.

    False: there was no such direction, the budget of the destination is used up, or it is over.
    """
    challenge = Challenge.read(kind, held.challenge)
    if challenge is None:
        return False
    [[sealed, send]] = yield [pack(("HMGET", challenge.record, "sealed", "send"))], True
    contents = challenge.unseal(sealed) if send == held.send.encode() else None
    if contents is None or (destination is None and contents["n"]):
        return False
    to = contents["d"] if destination is None else one_destination(destination)
    # What was typed is counted already; of an address that is only found by it, its own mailbox is.
    is_typed = folded(to) == folded(contents["s"])
    budgets = [] if is_typed else kept(kind.name, "destination", mailbox(to), kind.policy.sends)
    if (yield from spend(budgets, held.send)) is not None:
        code_refused.send_robust(sender=None, purpose=kind.name, subject=challenge.tag, reason="quota")
        return False
    keys = [budget.key for budget in budgets]
    found = {} if destination is None else {"d": to, "p": payload, "n": 0}
    sealed = challenge.seal({**contents, **found, "b": [*contents["b"], *keys]})
    [done] = yield [_DIRECT.call(challenge.record, held.send, sealed)], False
    if not done:
        yield from give_back(keys, held.send)
    return bool(done)


def arming(kind: Kind, text: object, *, again: bool = False) -> Flow[Issued | None]:
    """Mint the code of what was reserved or directed: one round trip. None: it waits no more.

    ``again``: also if it has a code already, which then is none any more.
    """
    challenge = Challenge.read(kind, text)
    if challenge is None:
        return None
    code, pepper = kind.mint(), first_pepper()
    call = _ARM.call(challenge.record, moment(), pepper.name, challenge.digest(pepper, code), str(int(again)))
    [[armed, left, sealed, send, is_resend]] = yield [call], False
    contents = challenge.unseal(sealed) if armed else None
    if contents is None:
        return None
    code_issued.send_robust(sender=None, purpose=kind.name, subject=challenge.tag, resend=is_resend == b"1")
    return Issued(
        challenge=str(challenge), code=kind.written(challenge, code), expires_in=left / _MICRO,
        resend_in=kind.policy.cooldown / _MICRO, destination=contents["d"], payload=contents["p"], send=send.decode(),
    )  # fmt: skip


def cancelling(kind: Kind, what: Issued | object, *, disarms: bool) -> Flow[bool]:
    """Take back a challenge, or only its code: two round trips, and one more if there are budgets."""
    text, meant = (what.challenge, what.send) if isinstance(what, Issued) else (what, None)
    challenge = Challenge.read(kind, text)
    if challenge is None:
        return False
    [[send, lane, sealed]] = yield [pack(("HMGET", challenge.record, "send", "log", "sealed"))], True
    if send is None or lane is None or (meant is not None and send.decode() != meant):
        return False
    call = _CANCEL.call_on(
        (challenge.record, kind.sent(challenge.tag, lane.decode())), send, str(int(disarms))
    )  # fmt: skip
    [done] = yield [call], True
    contents = challenge.unseal(sealed)
    if done and contents and not disarms:
        yield from give_back(contents["b"], send.decode())
    return bool(done)
