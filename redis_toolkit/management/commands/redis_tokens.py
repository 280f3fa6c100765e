from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.views.decorators.debug import sensitive_variables

from redis_toolkit.exceptions import Misconfigured, StoreUnavailable, TokenLimitReached, UnknownScope
from redis_toolkit.tokens import make_token, revoke, revoke_all, tokens_for
from redis_toolkit.tokens.pruning import prune

#: Seconds in what a length of time is given in.
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Command(BaseCommand):
    help = "Makes an API token for a user, lists and revokes those of a user, deletes what is left of ended ones."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        made = actions.add_parser("make", help="Make a token. It is printed now, and never again.")
        listed = actions.add_parser("list", help="The tokens of a user, each with the handle by which to revoke it.")
        ended = actions.add_parser("revoke", help="Revoke tokens of a user: those of the handles, or all.")
        actions.add_parser("prune", help="Delete the rows of tokens that have ended. For a schedule.")
        for each in (made, listed, ended):
            # (Two words for it: who is called "7" is not the user 7.)
            whose = each.add_mutually_exclusive_group(required=True)
            whose.add_argument("--user", metavar="PK", help="The user's primary key.")
            whose.add_argument("--username", metavar="NAME", help="What the user logs in by.")
        made.add_argument("--name", default="", help="What the user knows it by.")
        made.add_argument(
            "--scope", action="append", default=[], metavar="NAME", help="A scope that it has. May be given repeatedly."
        )
        made.add_argument(
            "--ttl",
            metavar="TIME",
            help="How long it lives: seconds, or 30m, 12h, 90d, 4w; or 'never'. Default: REDIS_TOOLKIT_TOKEN_TTL.",
        )
        ended.add_argument("handle", nargs="*", help="As the list prints it.")
        ended.add_argument("--all", action="store_true", help="All that the user has.")

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(**options)
        except (Misconfigured, UnknownScope, TokenLimitReached, ValueError) as error:
            raise CommandError(str(error) or TokenLimitReached.__doc__, returncode=2) from error
        except StoreUnavailable as error:
            raise CommandError(f"{str(error).rstrip('.')}. Run it again when Redis is back.") from error
        except DatabaseError as error:
            raise CommandError(f"The database did not answer: {error}") from error

    @sensitive_variables("made")
    def _make(self, *, user: str | None, username: str | None, name: str, **options: Any) -> None:
        owner = _user(user, username)
        if owner is None:
            raise CommandError("There is no such user.", returncode=2)
        if not getattr(owner, "is_active", True):
            raise CommandError("The user may not log in (is_active): no token of theirs would be good.", returncode=2)
        life: Any = ... if options["ttl"] is None else _length(options["ttl"])
        made = make_token(owner, name=name, scopes=options["scope"], ttl=life)
        # (What is told beside it goes the other way, so that $(…) has the token alone.)
        self.stderr.write(f"{made.token.handle}  ends {_told(made.token.expires)}. This is shown once:")
        self.stdout.write(made.text)

    def _list(self, *, user: str | None, username: str | None, **_: Any) -> None:
        for each in tokens_for(_owner(user, username)):
            begun, ends, used = (_told(moment) for moment in (each.created, each.expires, each.last_used))
            scopes = " ".join(each.scopes) or "-"
            self.stdout.write(
                f"{each.handle}  made {begun}, used {used}, ends {ends}  {scopes}  {_printable(each.name)}".rstrip()
            )

    def _revoke(self, *, user: str | None, username: str | None, handle: list[str], **options: Any) -> None:
        if bool(handle) == options["all"]:
            raise CommandError("Name handles, or give --all.", returncode=2)
        owner = _owner(user, username)
        if options["all"]:
            self.stdout.write(f"{revoke_all(owner)} revoked.")
            return
        unknown = [each for each in handle if not revoke(owner, each)]
        self.stdout.write(f"{len(handle) - len(unknown)} revoked.")
        if unknown:
            raise CommandError(f"The user has no token {', '.join(unknown)}.")

    def _prune(self, **_: Any) -> None:
        self.stdout.write(f"{prune()} deleted.")


def _user(key: str | None, name: str | None) -> Any | None:
    """The user of that primary key or name, if there is one. Raises CommandError in a project without users."""
    try:
        users = get_user_model()
    except ImproperlyConfigured as error:
        raise CommandError("There are no users (AUTH_USER_MODEL).", returncode=2) from error
    wanted = {"pk": key} if name is None else {users.USERNAME_FIELD: name}
    try:
        return users._default_manager.filter(**wanted).first()
    except (TypeError, ValueError, ValidationError):
        return None


def _owner(key: str | None, name: str | None) -> Any:
    """Whose tokens: also of a primary key that no user has any more. Raises CommandError."""
    found = key if name is None else _user(None, name)
    if found is None:
        raise CommandError("There is no such user.", returncode=2)
    return found


def _length(text: str) -> int | None:
    """Seconds; None for ever. Raises CommandError."""
    if text == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,12})([smhdw]?)", text)
    if found is None:
        raise CommandError(f"--ttl is seconds, or 30m, 12h, 90d, 4w, or never, not {text!r}.", returncode=2)
    return int(found[1]) * _UNITS[found[2]]


def _told(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _printable(text: str) -> str:
    # (A row that was written by others may have what a terminal would carry out.)
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
