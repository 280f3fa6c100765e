"""The documentation cannot be wrong without a test failing: names on both sides, links, and snippets that run."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from redis import Redis

from bench import sizes, summary
from docs import commands_page
from docs.settings_page import PAGE, render
from redis_toolkit import conf, signals
from redis_toolkit.dashboard.advice import Advice
from redis_toolkit.testing import ValkeyServer
from tests import snippets

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts),
]
TUTORIAL = DOCS / "tutorial" / "first-cached-model.md"
#: It is followed word by word, in an environment of its own: tests/test_tutorial.py.
FOLLOWED = DOCS / "tutorial" / "a-new-project.md"
CHECK = re.compile(r"redis_toolkit\.[EWI]\d{3}\b")


def text_of(*patterns: str) -> str:
    """All text of the files that match below the root."""
    return "\n".join(path.read_text("utf-8") for pattern in patterns for path in sorted(ROOT.glob(pattern)))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_settings_page_is_written_from_the_declarations():
    """docs/reference/settings.md is what `make docs` writes today, each setting in it once."""
    assert PAGE.read_text("utf-8") == render()
    headings = re.findall(r"^## `(\w+)`$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert headings == [setting.name for setting in conf.settings.declared()]
    assert len(set(headings)) == len(headings) > 10


def test_no_page_names_a_setting_that_does_not_exist():
    """Every REDIS_TOOLKIT_ name in the pages is a setting or an environment variable of the test servers."""
    known = {setting.name for setting in conf.settings.declared()}
    variables = {"REDIS_TOOLKIT_SERVER_BINARY", "REDIS_TOOLKIT_POSTGRES_BINARY", "REDIS_TOOLKIT_"}
    said = {name for page in PAGES for name in re.findall(r"\bREDIS_TOOLKIT_\w*", page.read_text("utf-8"))}
    assert said - known - variables == set()


def test_every_check_is_documented_and_tested():
    """The ids in the code are the ids in the table, each once there and named by a test."""
    page = (DOCS / "reference" / "checks.md").read_text("utf-8")
    rows = re.findall(r"^\| `(redis_toolkit\.\w+)` \|", page, re.MULTILINE)
    in_code = set(CHECK.findall(text_of("redis_toolkit/**/*.py")))
    # Checks may be numbered "E001" and prefixed in one place, so tests may name them so, too.
    in_tests = {each for each in in_code if each.rpartition(".")[2] in text_of("tests/**/test_*.py")}
    assert Counter(rows) == Counter(in_code)
    assert in_code - in_tests == set()


def test_every_signal_is_documented():
    """The signals' page has one section for each signal and no other."""
    page = (DOCS / "reference" / "signals.md").read_text("utf-8")
    assert sorted(re.findall(r"^## `(\w+)`$", page, re.MULTILINE)) == sorted(signals.__all__)


def test_every_public_name_of_the_cache_is_documented():
    """Each name in redis_toolkit.cache's `__all__` stands in its reference."""
    from redis_toolkit import cache

    page = (DOCS / "reference" / "cache.md").read_text("utf-8")
    assert [name for name in cache.__all__ if f"`{name}" not in page] == []


def test_every_public_name_of_the_codes_is_documented():
    """Each name of the room, its pages, its ways to send, and each word of a code, stands in its reference."""
    from redis_toolkit import otp
    from redis_toolkit.otp import answers, delivery, policies, views

    page = (DOCS / "reference" / "otp.md").read_text("utf-8")
    names = {*otp.__all__, *views.__all__, *delivery.__all__}
    words = {*policies.Options.__annotations__, *policies.Whose.__annotations__, *policies.Terms.__annotations__}
    fields = {*answers.Issued.__annotations__, *answers.Verification.__annotations__, *otp.Peeked.__annotations__}
    makers = otp.OneTimeCode, otp.MagicLink, otp.TotpGuard
    public = {name for each in makers for name in dir(each) if not name.startswith("_")}
    assert [name for name in sorted(names | words | fields | public) if f"`{name}" not in page] == []


def test_every_public_name_of_sessions_and_tokens_is_documented():
    """Each name of the two rooms, of the pages and classes that come with them, and each field, stands in its reference."""
    from redis_toolkit import sessions, tokens
    from redis_toolkit.contrib import drf_tokens
    from redis_toolkit.sessions import middleware, views

    for name, modules, records in (
        ("sessions", (sessions, middleware, views), (sessions.Device,)),
        ("tokens", (tokens, drf_tokens), (tokens.Token, tokens.Made)),
    ):
        page = (DOCS / "reference" / f"{name}.md").read_text("utf-8")
        names = {each for module in modules for each in module.__all__}
        fields = {each for record in records for each in record.__annotations__}
        assert [each for each in sorted(names | fields) if f"`{each}" not in page] == []


def test_every_public_name_of_the_kit_is_documented():
    """Each name that tests may import, and each fixture, stands in the page on testing."""
    from redis_toolkit import testing
    from redis_toolkit.testing import cache, fixtures, otp

    page = (DOCS / "reference" / "testing.md").read_text("utf-8")
    names = {*testing.__all__, *cache.__all__, *fixtures.__all__, *otp.__all__}
    assert [name for name in sorted(names) if f"`{name}" not in page] == []


def test_every_command_is_documented():
    """Each management command stands in a page, and no page names one that is not there."""
    commands = {path.stem for path in (ROOT / "redis_toolkit/management/commands").glob("[a-z]*.py")}
    said = set(re.findall(r"manage\.py (redis_\w+)", text_of("README.md", "docs/**/*.md")))
    assert said == commands


def test_the_page_of_options_is_written_from_the_parsers():
    """docs/reference/command-options.md is what `make docs` writes today, each command in it once."""
    page = commands_page.PAGE.read_text("utf-8")
    assert page == commands_page.render()
    headings = re.findall(r"^## `(\w+)`$", page, re.MULTILINE)
    assert headings == commands_page.names()
    assert len(headings) >= 10


def test_every_module_that_may_be_imported_is_in_the_page_of_public_names():
    """Rooms, watchers, the kit and errors are told by their docstrings there, and each optional module has its line."""
    page = (DOCS / "reference" / "api.md").read_text("utf-8")
    told = re.findall(r"^\.\. automodule:: redis_toolkit\.(\w+)$", page, re.MULTILINE)
    assert set(told) == {
        "cache", "throttling", "otp", "sessions", "tokens", "stats", "doctor", "testing", "exceptions",
    }  # fmt: skip
    optional = {path.stem for path in (ROOT / "redis_toolkit/contrib").glob("[a-z]*")} | {"tasks"}
    named = set(re.findall(r"^\| `redis_toolkit\.(?:contrib\.)?(\w+)` \|", page, re.MULTILINE))
    assert named - set(told) - {"signals", "conf"} == optional


def test_every_public_name_has_something_to_say():
    """What the page of public names shows of each of the names is a sentence of our own."""
    silent = []
    for name in re.findall(r"automodule:: (\S+)$", (DOCS / "reference" / "api.md").read_text("utf-8"), re.MULTILINE):
        module = import_module(name)
        silent += [
            f"{name}.{each}"
            for each in module.__all__
            if callable(getattr(module, each)) and not getattr(module, each).__doc__
        ]
    assert silent == []


def test_every_test_that_a_page_names_exists():
    """A page that says which test shows something names one that is there."""
    said = set(re.findall(r"[`:](test_\w+)`", text_of("README.md", "docs/**/*.md")))
    there = set(re.findall(r"^def (test_\w+)\(", text_of("tests/**/test_*.py"), re.MULTILINE))
    assert said - there == set()
    assert len(said) > 60


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    """Each relative link of a page names a file that exists."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_exist(page):
    """Each path of this repository that a page names in backquotes exists."""
    tops = "redis_toolkit|demo_project|tests|docs|bench|requirements"
    paths = re.findall(rf"`((?:{tops})/[\w./-]*)`", page.read_text("utf-8"))
    missing = [path for path in paths if "<" not in path and not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if snippets.blocks(page) and page != FOLLOWED], ids=named)
def test_snippets_run(page, tmp_path, redis_url):
    """The page's Python, typed into a new project, runs without a warning and with the queries it promises."""
    own, first = snippets.blocks(page), snippets.blocks(TUTORIAL)
    files = {name: block for block in own if (name := snippets.file_name(block))}
    shell = [block for block in own if not snippets.file_name(block)]
    if "settings.py" not in files:
        files = {name: block for block in first if (name := snippets.file_name(block))} | files
        shell = [next(block for block in first if not snippets.file_name(block)), *shell]
    snippets.make_project(tmp_path, files, redis_url)
    for name, block in files.items():
        compile(block, name, "exec")
    modules = [name.removesuffix(".py").replace("/", ".") for name in files if name.startswith("lessons/")]
    result = snippets.run(tmp_path, [*(f"import {module}" for module in modules), *shell])
    assert result.returncode == 0, result.stderr


def test_every_judgement_of_the_dashboard_is_explained():
    """The page on when not to cache has a row for each word that a piece of advice may have, in their order, and no other."""
    page = (DOCS / "explanation" / "when-not-to-cache.md").read_text("utf-8")
    words = get_args(get_type_hints(Advice)["about"])
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(words)
    assert len(words) == 9


def test_the_table_of_sizes_is_the_one_that_the_benchmark_prints():
    """The page on sizing has a row for each of the 12 things that `make bench ARGS=sizes` weighs, in its order."""
    page = (DOCS / "explanation" / "sizing.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [\d,]+ \| [\d.]+ \|$", page, re.MULTILINE)
    assert rows == list(sizes.WHAT)
    assert len(rows) == 12


def test_the_table_in_the_readme_is_the_one_that_the_benchmark_prints():
    """README has the head and the 11 lines of `make bench ARGS=summary`, whom each compares, when and on which machine."""
    lines = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    at = table.index(list(summary.HEAD))
    rows = table[at + 2 : at + 2 + len(summary.LINES)]
    assert [row[0].removeprefix("200 ") for row in rows] == [line.title for line in summary.LINES]
    assert len(rows) == 11
    for row, line in zip(rows, summary.LINES, strict=True):
        assert [label for label, _ in line.django if label not in row[2]] == []
        assert [label for label, _ in line.others if label not in row[3]] == []
    told = r"Measured 20\d\d-\d\d-\d\d by `make bench ARGS=summary` on \d+ processors \(.+\), \w+;"
    assert re.search(told, text_of("README.md"))


def test_the_servers_of_the_page_on_deploying():
    """Both configurations start a server, which evicts and keeps a file as the page says."""
    found = {}
    text = (DOCS / "how-to" / "deploy.md").read_text("utf-8")
    for name, block in re.findall(r"^```ini\n# valkey-(\w+)\.conf\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        told = dict(line.split(" ", 1) for line in block.splitlines())
        # (Where it listens, and where its files are, is the test server's own business.)
        config = {key: value.strip('"') for key, value in told.items() if key not in {"port", "bind"}}
        with ValkeyServer(config=config) as server, Redis.from_url(server.url, decode_responses=True) as client:
            found[name] = client.config_get("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save")
    assert found == {
        "cache": {
            "maxmemory": str(512 * 2**20), "maxmemory-policy": "allkeys-lru", "appendonly": "no",
            "appendfsync": "everysec", "save": "",
        },
        "durable": {
            "maxmemory": str(256 * 2**20), "maxmemory-policy": "noeviction", "appendonly": "yes",
            "appendfsync": "always", "save": found["durable"]["save"],
        },
    }  # fmt: skip


@pytest.fixture
def tested_project(tmp_path, redis_url):
    """The tutorial's project, with the tests that the page on testing shows."""
    page = DOCS / "how-to" / "test-with-the-cache.md"
    blocks = [block for each in (TUTORIAL, page) for block in snippets.blocks(each)]
    files = {name: block for block in blocks if (name := snippets.file_name(block))}
    snippets.make_project(tmp_path, files, redis_url)
    return tmp_path


def test_the_tests_of_the_how_to_pass(tested_project):
    """The page's 3 tests of pytest and 2 of unittest pass under pytest."""
    result = snippets.pytest(tested_project)
    assert result.returncode == 0, result.stdout
    assert "5 passed" in result.stdout


def test_the_tests_of_codes_pass(tmp_path, redis_url):
    """The 4 tests of the page on testing codes pass in the project of the page on e-mailed codes."""
    pages = [DOCS / "how-to" / "email-a-code.md", DOCS / "how-to" / "test-codes.md"]
    named = [(snippets.file_name(block), block) for page in pages for block in snippets.blocks(page)]
    snippets.make_project(tmp_path, {name: block for name, block in named if name}, redis_url)
    result = snippets.pytest(tmp_path)
    assert result.returncode == 0, result.stdout
    assert "4 passed" in result.stdout


def test_so_do_they_under_djangos_own_runner(tested_project):
    """The page's test case, run by `manage.py test`, passes with both of its tests."""
    result = snippets.django_test(tested_project, "tests.test_with_unittest")
    assert result.returncode == 0, result.stderr
    assert "Ran 2 tests" in result.stderr
