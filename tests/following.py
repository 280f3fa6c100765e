"""Follows a page of the tutorial as it is written: files, terminals that stay open, and a browser without a screen.

What a block is stands at the head of ``docs/tutorial/a-new-project.md``.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

__all__ = ["Block", "Browser", "Terminal", "blocks"]

FENCE = re.compile(r"^```(python|html|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:# |<!-- )(?P<path>[\w/]+\.\w+)(?P<end>, at the end)?(?: -->)?\n")
PROMPT = re.compile(r"^(\w*)\$ (.*)$")
#: Seconds, of whatever is waited for.
PATIENCE = 120.0
DONE = "-- done: "


class Block(NamedTuple):
    """A block of the page. ``kind``: "file", "more" (of a file), "console" or "browser"; ``path``: the file's."""

    kind: str
    text: str
    path: str = ""


def blocks(page: Path) -> Iterator[Block]:
    """What the page says is to be done, in its order."""
    for language, text in FENCE.findall(page.read_text("utf-8")):
        if language == "console":
            yield Block("console", text)
        elif language == "text":
            yield Block("browser", text)
        else:
            found = FILE.match(text)
            assert found, f"Which file is this?\n{text}"
            yield Block("more" if found["end"] else "file", text[found.end() :], found["path"])


def typed(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """The terminal, the command and the lines it prints, of each command of a console block."""
    lines: list[str] = []
    command: tuple[str, str] | None = None
    for line in text.splitlines():
        if found := PROMPT.match(line):
            if command:
                yield *command, lines
            command, lines = (found[1], found[2]), []
        else:
            lines.append(line)
    if command:
        yield *command, lines


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What matches an output that is written as these lines: `…` alone is any number of them, in a line any text."""
    told = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in lines)
    return re.compile(told)


class Terminal:
    """A shell. What runs in it is asked for by commands, and read line by line."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=home, env=dict(environment), start_new_session=True, bufsize=0,
        )  # fmt: skip
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        self.text = ""

    def run(self, command: str) -> str:
        """Type a command, wait for its end, and return what it printed; it must succeed."""
        before = len(self.text)
        self.start(f"{command}\necho '{DONE}'$?")
        found = self.wait_for(re.compile(rf"^{DONE}(\d+)\n", re.MULTILINE), since=before)
        printed = self.text[before : found.start()]
        assert found[1] == "0", f"{command} ended with {found[1]}:\n{printed}"
        return printed

    def start(self, command: str) -> None:
        """Type a command."""
        assert self._process.stdin
        self._process.stdin.write(f"{command}\n".encode())

    def wait_for(self, what: re.Pattern[str], since: int = 0) -> re.Match[str]:
        """Read until the pattern is there."""
        assert self.has_printed(what, since), f"{what.pattern} was not printed:\n{self.text[since:]}"
        found = what.search(self.text, since)
        assert found
        return found

    def has_printed(self, what: re.Pattern[str], since: int = 0, within: float = PATIENCE) -> bool:
        """Whether the pattern is there, or comes before nothing has been printed for ``within`` seconds."""
        assert self._process.stdout
        while not what.search(self.text, since):
            part = os.read(self._process.stdout.fileno(), 65536) if self._selector.select(within) else b""
            if not part:
                return False
            self.text += part.decode()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Tell all that runs here."""
        os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End the shell and all that runs in it."""
        self.signal(signal.SIGKILL)
        self._process.communicate()
        self._selector.close()


class Form(NamedTuple):
    """A form: where it goes, its fields' values, the fields by label, and the buttons by what they say."""

    action: str
    values: dict[str, str]
    fields: dict[str, str]
    buttons: dict[str, tuple[str, str]]


class Page(HTMLParser):
    """The forms and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._labels: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._open: dict[str, str] | None = None
        self._label, self._select, self._said = "", "", ""
        self.text = ""
        self.feed(text)
        for form in self.forms:
            named = {self._labels[key]: name for key, name in self._names.items() if key in self._labels}
            form.fields.update({label: name for label, name in named.items() if name in form.values})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, fields and buttons."""
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(told.get("action", ""), {}, {}, {}))
        elif tag == "label":
            self._label, self._said = told.get("for", ""), ""
        elif tag == "button":
            self._open, self._said = told, ""
        elif self.forms and tag in {"input", "select", "option"}:
            self._note(tag, told, self.forms[-1])

    def _note(self, tag: str, told: dict[str, str], form: Form) -> None:
        name, kind = told.get("name", ""), told.get("type", "text")
        if kind == "submit":
            form.buttons[told["value"]] = (name, told["value"])
        elif tag == "option" and "selected" in told:
            form.values[self._select] = told["value"]
        elif tag == "select":
            self._select = name
        elif tag == "input" and (kind not in {"checkbox", "radio"} or "checked" in told):
            form.values[name] = told.get("value", "")
        self._names[told.get("id", "")] = name

    def handle_data(self, data: str) -> None:
        """Gather what is said."""
        self._said += data
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        """Note what a label or a button says."""
        if tag == "label" and self._label:
            self._labels[self._label] = self._said.strip().rstrip(":")
        elif tag == "button" and self._open is not None and self.forms:
            self.forms[-1].buttons[self._said.strip()] = (self._open.get("name", ""), self._open.get("value", ""))
            self._open = None


class Browser:
    """One window, with cookies of its own. It knows nothing but pages and forms."""

    def __init__(self) -> None:
        # (Whatever proxies the environment names, the pages are on this machine.)
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), ProxyHandler({}))
        self._address, self.status, self.page = "", 0, Page("")
        self._filled: dict[str, str] = {}

    def open(self, address: str, values: dict[str, str] | None = None) -> None:
        """Ask for a page, or post to it, and follow where it leads."""
        body = None if values is None else urlencode(values).encode()
        try:
            answer = self._opener.open(address, body, timeout=PATIENCE)
        except HTTPError as error:
            answer = error
        with answer:
            self._address, self.status = answer.url, answer.status
            self.page, self._filled = Page(answer.read().decode()), {}

    def fill(self, label: str, value: str) -> None:
        """Type into the field of that label."""
        assert any(label in form.fields for form in self.page.forms), f"no field {label}: {self.page.text}"
        self._filled[label] = value

    def press(self, button: str) -> None:
        """Send the form that has the button, and what was typed into it."""
        form = next((form for form in self.page.forms if button in form.buttons), None)
        assert form, f"no button {button}: {self.page.text}"
        values = form.values | {form.fields[label]: value for label, value in self._filled.items()}
        name, value = form.buttons[button]
        if name:
            values[name] = value
        self.open(urljoin(self._address, form.action), values)
