"""A real Chromium and a running demo. Where the browser is missing these tests fail; they are selected on purpose."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.demo import Demo

if TYPE_CHECKING:  # a run without these tests needs no playwright
    from playwright.sync_api import Browser, ConsoleMessage, Page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOUD = {"error", "warning"}
SIZES = {"narrow": (320, 640), "phone": (390, 844), "tablet": (820, 1180), "laptop": (1366, 800)}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as `make demo` runs it, with a database of its own."""
    with Demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser named by CHROMIUM, or the one on PATH."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "No chromium on PATH: install it (Debian: apt-get install chromium) or name it in CHROMIUM."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser, demo: Demo) -> Iterator[Callable[..., Page]]:
    """Open a window: `window("phone", "dark")`. What the console complains about fails the test at its end.

    Without `scripts` the browser runs none. A window that is `denied` may be told 429, about which browsers complain.
    """
    contexts = []
    complaints: list[str] = []

    def open_window(size: str = "laptop", scheme: str = "light", *, scripts: bool = True, denied: bool = False) -> Page:
        width, height = SIZES[size]
        context = chromium.new_context(
            base_url=demo.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()

        def hear(said: ConsoleMessage) -> None:
            if said.type in LOUD and not (denied and "status of 429" in said.text):
                complaints.append(f"{said.text} {said.location}")

        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(demo.url) else complaints.append(asked.url))
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def expect() -> Any:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect

    return expect


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: SCREENSHOTS, or a folder of this test run."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
