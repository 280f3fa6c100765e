"""The patterns that this site shows: what each is, and where one sees it work."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse

__all__ = ["PATTERNS", "Pattern"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """`what` it is, in a sentence; `trial`: what to do on its `page`, the name of a URL with its arguments."""

    name: str
    title: str
    tone: str
    what: str
    trial: str
    link: str
    page: tuple[str, ...]
    for_staff: bool = False

    @property
    def address(self) -> str:
        """Where it works; the admin's first page if there is no such page in this project."""
        try:
            return reverse(self.page[0], args=self.page[1:])
        except NoReverseMatch:
            return reverse("admin:index")


_ALL = (
    Pattern(
        name="cache-aside",
        title="Cache-aside",
        tone="blue",
        what="A page asks Redis first, and the database only for what is not there; that is kept for the next to come.",
        trial="Load it twice: the foot of the page counts the answers from Redis, and the questions to the database.",
        link="A group’s week",  # noqa: RUF001 - an apostrophe
        page=("timetable:group", "q065"),
    ),
    Pattern(
        name="invalidation",
        title="Invalidation on edit",
        tone="clay",
        what="A saved change ends the answers that it touches, and no others, before anybody can read an old one.",
        trial="Move a lesson, and load its room’s page: it has moved. The page of another room is still from Redis.",  # noqa: RUF001
        link="The lessons’ desk",  # noqa: RUF001
        page=("admin:timetable_lesson_changelist",),
        for_staff=True,
    ),
    Pattern(
        name="stampede",
        title="The stampede lab",
        tone="ochre",
        what="When an answer that everybody reads expires, one reader asks the database and all take what it stores.",
        trial="Start the storm: two hundred readers at one moment, without this defence and with it.",
        link="The hot key, in the lab",
        page=("lab:storm", "hot-key"),
        for_staff=True,
    ),
    Pattern(
        name="throttling",
        title="Limits, and a throttled API",
        tone="teal",
        what="Who asks too often is told to wait, and for how long, in one round trip and to nobody else’s harm.",  # noqa: RUF001
        trial="Send twenty requests to the API, watch what is left of each limit, and read the 429.",
        link="Your limits",
        page=("limits:limits",),
    ),
    Pattern(
        name="codes",
        title="Log-in by code",
        tone="violet",
        what="An emailed code instead of a password: good once, for five minutes, in the browser that asked for it.",
        trial="Log in as student@timetable.example. The mail is in the terminal, and in the mailbox of staff.",
        link="Log in by e-mail",
        page=("redis_toolkit_otp:request",),
    ),
    Pattern(
        name="devices",
        title="Devices",
        tone="slate",
        what="A session knows whose it is: people see where they are logged in, and end it there from here.",
        trial="Log in with a second browser, end it from the first, and click anywhere in the second.",
        link="Your devices",
        page=("redis_toolkit_sessions:devices",),
    ),
    Pattern(
        name="tokens",
        title="API tokens",
        tone="blue",
        what="A program reads in your name, by a token that may do what you allow until you revoke it.",
        trial="Make one, and use it with the line for a shell that the page gives you. Redis holds a digest of it.",
        link="Your tokens",
        page=("doors:tokens",),
    ),
    Pattern(
        name="dashboard",
        title="The dashboard",
        tone="clay",
        what="What the cache saves, who is denied, who is logged in and how the servers are, in Django’s own admin.",  # noqa: RUF001
        trial="See the hit ratio of each model, and what would make it better.",
        link="The statistics, in the admin",
        page=("admin:redis_toolkit_statistic_changelist",),
        for_staff=True,
    ),
)

#: Every pattern, by the name that stands in addresses; in the order in which they are told.
PATTERNS = {pattern.name: pattern for pattern in _ALL}
