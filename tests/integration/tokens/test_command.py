"""``redis_tokens``: made and printed once, listed, revoked."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from redis_toolkit.core.clock import Frozen
from redis_toolkit.core.connections import reset
from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import authenticate, authenticate_user, make_token, tokens_for
from redis_toolkit.tokens.pruning import prune

pytestmark = pytest.mark.django_db(databases="__all__")

one_store = pytest.mark.parametrize("store", ["rows"], indirect=True)


def run(*words: str) -> tuple[str, str]:
    out, beside = StringIO(), StringIO()
    call_command("redis_tokens", *words, stdout=out, stderr=beside)
    return out.getvalue(), beside.getvalue()


def fails(*words: str) -> CommandError:
    with pytest.raises(CommandError) as found:
        run(*words)
    return found.value


def test_make(ada: User) -> None:
    """The token alone on one way out, what is told of it on the other; with name, scopes and ttl."""
    told = run("make", "--user", str(ada.pk), "--name", "ci", "--scope", "read", "--scope", "write", "--ttl", "12h")
    text = told[0].removesuffix("\n")
    assert authenticate_user(text) == ada
    assert text not in told[1]
    [token] = tokens_for(ada)
    assert (token.name, token.scopes) == ("ci", ("read", "write"))
    assert token.expires is not None
    assert (token.expires - token.created).total_seconds() == 12 * 3600
    assert told[1] == f"{token.handle}  ends {token.expires:%Y-%m-%d %H:%M}. This is shown once:\n"
    assert authenticate_user(run("make", "--username", "ada")[0].strip()) == ada


@one_store
def test_lengths(ada: User) -> None:
    """Seconds, or a number with its unit, or for ever."""
    for given, seconds in (("90", 90), ("90s", 90), ("2m", 120), ("3d", 259_200), ("1w", 604_800), ("never", None)):
        run("make", "--user", str(ada.pk), "--ttl", given)
        token = tokens_for(ada)[-1]
        found = token.expires and (token.expires - token.created).total_seconds()
        assert found == seconds
    for wrong in ("", "5y", "-5", "1.5h", "h", "0", "9" * 12 + "w", "٣"):
        assert fails("make", "--user", str(ada.pk), f"--ttl={wrong}").returncode == 2
    assert len(tokens_for(ada)) == 6


def test_list(ada: User, redis_client: Any, store: str) -> None:
    """Handles, times, scopes and names; no texts, and nothing that a terminal would carry out."""
    made = make_token(ada, name="laptop", scopes=("read", "write"))
    assert authenticate(made.text) is not None
    make_token(User.objects.create_user("bob"))
    [line] = run("list", "--user", str(ada.pk))[0].splitlines()
    [token] = tokens_for(ada)
    created, used, ends = (f"{each:%Y-%m-%d %H:%M}" for each in (token.created, token.last_used, token.expires))
    assert line == f"{token.handle}  made {created}, used {used}, ends {ends}  read write  laptop"
    assert made.text not in line
    assert run("list", "--username", "ada")[0].splitlines() == [line]
    assert run("list", "--user", str(ada.pk + 1000))[0] == ""
    if store != "redis":
        Row.objects.filter(handle=token.handle).update(name="\x1b[2Jx", scopes="")
        assert run("list", "--user", str(ada.pk))[0].rstrip().endswith("  -  \ufffd[2Jx")


def test_revoke(ada: User) -> None:
    """By handle, or all; of a user who is gone as well. What there was not is said."""
    made = [make_token(ada) for _ in range(4)]
    handles = [each.token.handle for each in made]
    assert run("revoke", "--user", str(ada.pk), *handles[:2])[0] == "2 revoked.\n"
    assert [authenticate(each.text) is not None for each in made] == [False, False, True, True]
    error = fails("revoke", "--user", str(ada.pk), handles[0], handles[2], "nothing")
    assert str(error) == f"The user has no token {handles[0]}, nothing."
    assert authenticate(made[2].text) is None
    User.objects.filter(pk=ada.pk)._raw_delete(User.objects.db)
    assert run("revoke", "--user", str(ada.pk), "--all")[0] == "1 revoked.\n"
    assert authenticate(made[3].text) is None


def test_prune(ada: User, clock: Frozen, store: str) -> None:
    """What has ended is gone, more than fits into one statement; who is in is in. Redis forgets by itself."""
    ended = [make_token(ada, ttl=60) for _ in range(5)]
    kept = make_token(ada, ttl=61), *([] if store == "redis" else [make_token(ada, ttl=None)])
    clock.move(60)
    assert prune(2) == (0 if store == "redis" else 5)
    assert run("prune") == ("0 deleted.\n", "")
    assert [authenticate(each.text) is not None for each in (*ended, *kept)] == [False] * 5 + [True] * len(kept)
    clock.move(2)
    assert run("prune")[0] == ("0 deleted.\n" if store == "redis" else "1 deleted.\n")


@one_store
def test_who_is_meant(ada: User) -> None:
    """A primary key is no name and a name no primary key: who calls themselves by another's key is not them."""
    mallory = User.objects.create_user(str(ada.pk + 1000))
    make_token(mallory)
    assert run("revoke", "--user", str(ada.pk + 1000), "--all")[0] == "0 revoked.\n"
    assert fails("make", "--user", str(ada.pk + 1000)).returncode == 2
    assert len(tokens_for(mallory)) == 1


def test_what_cannot_be_done(ada: User, settings: Any, store: str) -> None:
    """Each wrong way to ask is told of, with 2, and nothing is made."""
    key = str(ada.pk)
    settings.REDIS_TOOLKIT_TOKEN_SCOPES = ["read"]
    for words in (
        ("make", "--user", "nobody"),
        ("make", "--username", "nobody"),
        ("list", "--username", "nobody"),
        ("make", "--user", key, "--scope", "admin"),
        ("make", "--user", key, "--name", "x" * 101),
        ("revoke", "--user", key),
        ("revoke", "--user", key, "--all", "0" * 16),
        *([("make", "--user", key, "--ttl", "never")] if store == "redis" else []),
    ):
        assert fails(*words).returncode == 2
    assert tokens_for(ada) == []
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 1
    make_token(ada)
    assert "as many tokens" in str(fails("make", "--user", key))
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert "is_active" in str(fails("make", "--user", key))


@pytest.mark.parametrize("store", ["redis"], indirect=True)
def test_redis_away(ada: User, settings: Any) -> None:
    """It says so, and to come again."""
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "unix:///no/where"}}
    reset()
    error = fails("list", "--user", str(ada.pk))
    assert str(error).endswith(". Run it again when Redis is back.")
    assert error.returncode == 1
