"""``manage.py redis_doctor``: its lines, its JSON, its exit codes; and five servers that are not as they should be."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from redis_toolkit.doctor import examine
from tests.integration.doctor.conftest import LASTING, SOUND, Start, behind


def run(*arguments: str, **options: Any) -> tuple[int, str, str]:
    """Exit code, output, and what is said beside it."""
    out = StringIO()
    try:
        call_command("redis_doctor", *arguments, stdout=out, **options)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


@pytest.mark.parametrize(
    ("name", "config", "roles", "said"),
    [
        ("evicts what was counted", SOUND, "throttles", ["W072"]),
        ("forgets sessions", {"maxmemory-policy": "volatile-lru"}, "sessions", ["W090", "W095"]),
        ("grows without a bound", {"maxmemory-policy": "allkeys-lru"}, "cache", ["D120"]),
        ("takes no writes", {**SOUND, "replicaof": "127.0.0.1 1"}, "cache", ["D140", "D141"]),
        ("is open to all", {**SOUND, "bind": "* -::*", "protected-mode": False}, "cache", ["D150"]),
        ("evicts marks first", {**SOUND, "maxmemory-policy": "volatile-ttl"}, "cache", ["W007"]),
        ("may lose half a minute", {**LASTING, "appendfsync": "no"}, "sessions", ["D132"]),
    ],
    ids=lambda each: each.replace(" ", "-") if isinstance(each, str) else None,
)
def test_misconfigured_servers(
    start: Start, settings: Any, name: str, config: dict[str, Any], roles: str, said: list[str]
):
    """The fault of each of 7 servers is named on the command line, with what to do, and nothing else is."""
    if roles == "sessions":
        settings.SESSION_ENGINE, settings.REDIS_TOOLKIT_DURABLE_ALIAS = "redis_toolkit.sessions", "other"
    if roles == "throttles":
        settings.REDIS_TOOLKIT_THROTTLES = {"views": {"rate": "10/m"}}
        settings.REDIS_TOOLKIT_THROTTLE_ALIAS = "other"
    alias = "default" if roles == "cache" else "other"
    start(config, alias=alias, tcp=name == "is open to all")
    code, lines, reason = run("--alias", alias, "--fail-on", "warning", verbosity=0)
    assert code == 1
    assert reason == f"{len(said)} found that must be seen to: {', '.join(said)}."
    found = [each for each in examine(aliases=[alias]).findings if each.level != "good"]
    assert [each.id for each in found] == said
    expected = [
        line for each in found for line in (f"  {each.level:<8} {each.id}  {each.sentence}", " " * 17 + each.cure)
    ]
    assert lines.splitlines()[0].startswith(f"{alias} ({roles}): ")
    assert lines.splitlines()[1:] == expected


def test_what_is_well(start: Start):
    """A line each, none at -v 0."""
    start(SOUND)
    code, lines, _ = run("--alias", "default")
    assert code == 0
    heading, *rest = lines.splitlines()
    assert heading.startswith("default (cache): ")
    assert len(rest) == 10
    assert all(each.startswith("  ok       D1") for each in rest)
    assert run("--alias", "default", verbosity=0) == (0, "", "")


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        (SOUND, {"error": 0, "warning": 0, "advice": 0}),
        ({**SOUND, "appendonly": True}, {"error": 0, "warning": 0, "advice": 1}),
        ({"maxmemory": "100mb"}, {"error": 0, "warning": 1, "advice": 1}),
        ({**SOUND, "cluster-enabled": True}, {"error": 1, "warning": 1, "advice": 1}),
    ],
    ids=["well", "advice", "warning", "error"],
)
def test_exit_codes(start: Start, config: dict[str, Any], codes: dict[str, int]):
    """What --fail-on names, and what is worse; by default errors."""
    start(config)
    assert {level: run("--alias", "default", "--fail-on", level)[0] for level in codes} == codes
    assert run("--alias", "default")[0] == codes["error"]


def test_json(start: Start):
    """Its shape, whole; the exit code is the same."""
    start({**SOUND, "cluster-enabled": True})
    code, text, _ = run("--alias", "default", "--json")
    assert code == 1
    found = json.loads(text)
    assert list(found) == ["format", "counts", "servers", "findings"]
    assert found["format"] == 1
    assert list(found["counts"]) == ["error", "warning", "advice", "good"]
    assert (found["counts"]["error"], sum(found["counts"].values())) == (1, len(found["findings"]))
    [server] = found["servers"]
    assert list(server) == ["alias", "roles", "version", "facts"]
    assert (server["alias"], server["roles"], server["facts"]["mode"]) == ("default", ["cache"], "cluster")
    assert all(isinstance(each, str) for each in server["facts"].values())
    assert [list(each) for each in found["findings"]] == [["id", "level", "subject", "sentence", "cure"]] * len(
        found["findings"]
    )
    assert found["findings"][0]["id"] == "D106"


def test_several_servers(start: Start, settings: Any):
    """A heading for each, an empty line between them; one that the toolkit has no use for is examined, too."""
    start(SOUND)
    behind(settings, "spare", start(SOUND, alias="other").url)
    _, lines, _ = run("--alias", "default", "--alias", "spare")
    headings = [each for each in lines.splitlines() if each and not each.startswith(" ")]
    assert [each.partition(": ")[0] for each in headings] == ["default (cache)", "spare (nothing of ours)"]
    assert lines.count("\n\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--alias", "nobody"], "CACHES has no 'nobody'."),
        (["--sample", "-1"], "--sample is a number of keys: 0 or more."),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], reason: str):
    """Exit code 2, as of options there are not."""
    assert run(*arguments) == (2, "", reason)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_from_a_shell(start: Start, django_environment: dict[str, str], redis_url: str):
    """The whole project as one object, nothing but that on stdout; unknown levels are exit code 2."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "django", "redis_doctor", *arguments],
            env={**django_environment, "PATH": ""}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = command("--json", "--sample", "10")
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["counts"]["error"] else 0), done.stderr
    assert "Traceback" not in done.stderr
    assert [each["alias"] for each in found["servers"]] == ["default"]
    assert "D105" in {each["id"] for each in found["findings"]}
    assert command("--fail-on", "good").returncode == 2
