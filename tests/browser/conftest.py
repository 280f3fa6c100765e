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
#: Widths and heights at which every page has to fit; of those that are pictured there are pictures.
SIZES = {"narrow": (320, 640), "phone": (390, 844), "tablet": (820, 1180), "laptop": (1366, 800)}
PICTURED = {"phone", "laptop"}
#: What makes a page scroll sideways.
PROTRUDING = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).slice(-5).map((each) => each.outerHTML.slice(0, 200))"""
#: To be awaited: what fades has faded.
SETTLED = "Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null))).then(() => null)"


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

    Without `scripts` the browser runs none. Browsers complain about what is refused, which fails the test as well, unless
    it is foreseen: a window that is `denied` may be told 429, and one to which a status is `told` that one.
    """
    contexts = []
    complaints: list[str] = []

    def open_window(
        size: str = "laptop",
        scheme: str = "light",
        *,
        scripts: bool = True,
        denied: bool = False,
        told: int | None = None,
    ) -> Page:
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

        foreseen = [f"status of {status} " for status in (429 if denied else None, told) if status]

        def hear(said: ConsoleMessage) -> None:
            if said.type in LOUD and not any(each in said.text for each in foreseen):
                complaints.append(f"{said.text} {said.location}")

        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(demo.url) else complaints.append(asked.url))
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def signed_in(demo: Demo) -> Callable[..., Page]:
    """Have somebody of the staff log in by their password: `signed_in(page)`; "office" edits, "admin" may do all."""

    def sign_in(page: Page, name: str = "admin") -> Page:
        page.goto("/admin/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(demo.password)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Log out").wait_for()
        return page

    return sign_in


@pytest.fixture(scope="session")
def expect() -> Any:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect

    # (Five seconds are hardly enough for what is told every second, asked for every five, on a busy machine.)
    expect.set_options(timeout=20_000)
    return expect


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: SCREENSHOTS, or a folder of this test run."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def look(pictures: Path) -> Callable[[Page, str], None]:
    """Look at the page that is open, in each size: it must not scroll sideways, and has its picture taken by day and night.

    It is left as it was opened, on a laptop by day.
    """

    def look_at(page: Page, name: str) -> None:
        page.wait_for_load_state()
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function(f"innerWidth === {width}")
            assert page.evaluate(PROTRUDING) == [], f"{name} on a {size}"
            for scheme in ("dark", "light") if size in PICTURED else ():
                page.emulate_media(color_scheme=scheme)
                page.evaluate(SETTLED)
                page.screenshot(path=pictures / f"{name}-{size}-{scheme}.png", full_page=True)

    return look_at
