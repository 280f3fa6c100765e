from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

from django.apps import apps
from django.core.handlers.wsgi import WSGIRequest
from django.core.management.base import BaseCommand, CommandError, CommandParser

from redis_toolkit.conf import Settings, settings
from redis_toolkit.core.clients import client_address, client_of
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.stats import offenders
from redis_toolkit.throttling import banning
from redis_toolkit.throttling.checking import check, drop_all, lift
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.exemptions import is_exempt
from redis_toolkit.throttling.identities import identified, is_digest
from redis_toolkit.throttling.rules import Declared, declared

#: Decided by those who could not ask Redis.
_WITHOUT_REDIS = {"open", "closed", "local"}


class Command(BaseCommand):
    help = "Shows what throttles see and whom they ban; forgets, bans and unbans."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        explain = actions.add_parser("explain", help="Which address a request is taken to have, why, and what is left.")
        explain.add_argument("--peer", default="127.0.0.1", help="The address that the web server sees (REMOTE_ADDR).")
        explain.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="May be repeated.")
        explain.add_argument("--path", default="/")
        explain.add_argument("--method", default="GET")
        explain.add_argument("--user", metavar="PK", help="Who is logged in. Default: nobody.")
        actions.add_parser("list", help="The rules of REDIS_TOOLKIT_THROTTLES, bans, and who was denied most.")
        for action, what in (
            ("reset", "Forget all that is known of an identity under a throttle, its ban included."),
            ("ban", "Ban an identity under a rule of REDIS_TOOLKIT_THROTTLES that has a ban."),
            ("unban", "End a ban, and forget that it was."),
        ):
            each = actions.add_parser(action, help=what)
            each.add_argument("name", help="The throttle's name.")
            each.add_argument(
                "identity",
                nargs="+",
                help="Its parts, by the rule's key (ip 203.0.113.5), or its digest: the list prints it in brackets.",
            )
            if action == "ban":
                each.add_argument("--for", type=float, metavar="SECONDS", help="Default: as long as a first ban.")

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(**options)
        except (Misconfigured, ValueError) as error:
            raise CommandError(str(error), returncode=2) from error
        except StoreUnavailable as error:
            raise CommandError(f"{str(error).rstrip('.')}. Run it again when Redis is back.") from error

    def _explain(self, *, peer: str, header: list[str], path: str, method: str, user: str | None, **_: Any) -> None:
        request: Any = request_of(peer, header, path, method)
        request.user = _visitor(user)
        found = client_of(request)
        self.stdout.write(f"address: {client_address(request)} (by {found.told})")
        if found.address is None:
            self.stdout.write("  Nobody can tell the address of such a request; all of them are one client.")
        rules = [each for each in _rules().values() if path.startswith(each.paths)]
        if not rules:
            self.stdout.write(f"No rule of REDIS_TOOLKIT_THROTTLES is for {path}.")
        exempt = bool(rules and Settings.urls() and is_exempt(request))
        sources = set()
        for each in rules:
            decision, said = _explained(each, request, exempt=exempt)
            self.stdout.write(f"{each.rule.name}: {said}")
            sources.add(decision.source if decision is not None else "")
        if sources & _WITHOUT_REDIS:
            raise CommandError("Redis does not answer. Run it again when Redis is back.")

    def _list(self, **_: Any) -> None:
        for name, (rule, paths) in _rules().items():
            self.stdout.write(f"{name}: {settings.THROTTLES[name]['rate']} by {rule.key}, for {', '.join(paths)}")
        for ban in banning.listed():
            self.stdout.write(f"banned by {ban.name} for another {ceil(ban.seconds)} s: {ban.told} ({ban.identity})")
        for each in offenders.top() if settings.THROTTLE_OFFENDERS else ():
            self.stdout.write(f"denied by {each.name} {each.times} times: {each.told} ({each.identity})")

    def _reset(self, *, name: str, identity: list[str], **_: Any) -> None:
        who, told = who_of(name, identity, _rules())
        gone = drop_all(name, who)
        self.stdout.write(f"{name}: {told} is forgotten." if gone else f"{name}: nothing is known of {told}.")

    def _unban(self, *, name: str, identity: list[str], **_: Any) -> None:
        who, told = who_of(name, identity, _rules())
        if not lift(name, who):
            raise CommandError(f"{name}: {told} is not banned.")
        self.stdout.write(f"{name}: {told} is banned no more.")

    def _ban(self, *, name: str, identity: list[str], **options: Any) -> None:
        rules = _rules()
        if name not in rules:
            raise CommandError(
                f"REDIS_TOOLKIT_THROTTLES has no rule {name!r}: {', '.join(rules) or 'it is empty'}.", returncode=2
            )
        who, told = who_of(name, identity, rules)
        banning.ban(rules[name].rule.any_limits, who, told, options["for"])
        self.stdout.write(f"{name}: {told} is banned.")


@dataclass(frozen=True, slots=True)
class Known:
    """A user as far as rules need one."""

    pk: str
    is_authenticated: bool = True
    is_anonymous: bool = False


def who_of(name: str, words: list[str], rules: Mapping[str, Declared]) -> tuple[str, str]:
    """The digest and the label of whom ``words`` name under the throttle of that ``name``.

    Under a rule of the settings they are read as its key has it: an identity that nobody has would be forgotten, or
    banned, in vain. Of throttles in code nobody here knows the key. Raises ValueError.
    """
    if len(words) == 1 and is_digest(words[0]):
        return words[0], words[0]
    return identified(rules[name].rule.key.parts_from(words) if name in rules else tuple(words))


def request_of(peer: str, headers: list[str], path: str, method: str) -> WSGIRequest:
    """A request as it would come. Raises ValueError for what is no header."""
    meta: dict[str, Any] = {
        "REMOTE_ADDR": peer, "PATH_INFO": path, "REQUEST_METHOD": method, "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.input": BytesIO(),
    }  # fmt: skip
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"{header!r} is no header: X-Forwarded-For: 203.0.113.5")
        meta["HTTP_" + name.strip().upper().replace("-", "_")] = value.strip()
    return WSGIRequest(meta)


def _rules() -> dict[str, Declared]:
    return declared(settings.THROTTLES)


def _visitor(pk: str | None) -> Any:
    if pk is not None:
        return Known(pk)
    if not apps.is_installed("django.contrib.auth"):
        return None
    from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415 - its module needs the app

    return AnonymousUser()


def _explained(each: Declared, request: Any, *, exempt: bool) -> tuple[Decision | None, str]:
    rule = each.rule
    if rule.denies(request) and not rule.shadow:
        return None, "kept out, by its deny list"
    if exempt:
        return None, "does not count it, for the view is exempt"
    case = rule.case(request, request.user)
    if case is None:
        return None, "does not count it"
    [decision] = check([case.asked], charges=False)
    return decision, f"counts {case.asked.told} ({case.asked.identity}): {_said(decision)}"


def _said(decision: Decision) -> str:
    if decision.source in _WITHOUT_REDIS:
        return f"Redis is away, so it is {decision.source}"
    if decision.banned:
        return f"banned for another {ceil(decision.retry_after)} s"
    left = ", ".join(f"{quota.remaining} of {quota.rate}" for quota in decision.quotas)
    return f"{left} left" if left else "no limit"
