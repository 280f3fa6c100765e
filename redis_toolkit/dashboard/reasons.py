"""What counted words mean: why reads were no hits, what ended entries, which kinds of reads there are."""

from __future__ import annotations

from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, ngettext

__all__ = ["CAUSES", "KINDS", "VISITORS", "coded", "ended", "reason"]

#: What is said of the kinds of reads that ``signals.cache_read`` tells of.
KINDS: Final = {
    "get": gettext_lazy("one row"), "bulk": gettext_lazy("rows by key"), "rows": gettext_lazy("lists"),
    "count": gettext_lazy("counts"), "exists": gettext_lazy("whether there is any"),
    "aggregate": gettext_lazy("aggregates"), "value": gettext_lazy("calls"), "fragment": gettext_lazy("fragments"),
    "view": gettext_lazy("pages"),
}  # fmt: skip
_REASONS: Final = {
    "empty": gettext_lazy("Nothing was stored, or not any more: the first read, the end of its ttl, an eviction."),
    "ended": gettext_lazy("A write has ended it."),
    "columns": gettext_lazy("The model's columns have changed."),
    "run": gettext_lazy("It was stored under another run of the server."),
    "unreadable": gettext_lazy("What was stored could not be read."),
    "asked": gettext_lazy("It was to be made anew: refresh()."),
    "off": gettext_lazy("REDIS_TOOLKIT_ENABLED is False."),
    "breaker": gettext_lazy("The breaker is open: Redis was away."),
    "untrusted": gettext_lazy("Redis was away a moment ago, and was not trusted yet."),
    "transaction": gettext_lazy("It was read in a transaction that has written."),
    "writing": gettext_lazy("A write was under way."),
    "outage": gettext_lazy("Redis did not answer."),
    "snapshot": gettext_lazy("It was read in a transaction that sees an old state, which must not be stored."),
    "uncacheable": gettext_lazy("The query, or the arguments, cannot be cached."),
}  # fmt: skip
#: Why reads go past the cache, as a part of a sentence, and what to do.
CAUSES: Final = {
    "transaction": (
        gettext_lazy("they are made in transactions that have written"),
        gettext_lazy("Read before you write, or after the commit: `transaction.on_commit`."),
    ),
    "snapshot": (
        gettext_lazy("they are made in transactions that see an old state"),
        gettext_lazy("Read outside of long transactions. On SQLite no cursor may stand open meanwhile."),
    ),
    "uncacheable": (
        gettext_lazy("such queries, or arguments, cannot be cached"),
        gettext_lazy(
            "The log `redis_toolkit.cache` and the reference of the cache say which can. Read others through "
            "`objects`."
        ),
    ),
    "breaker": (
        gettext_lazy("the breaker is open"), gettext_lazy("Look at the servers' health: Redis is away, or slow."),
    ),
    "outage": (
        gettext_lazy("Redis did not answer"), gettext_lazy("Look at the servers' health: Redis is away, or slow."),
    ),
    "untrusted": (
        gettext_lazy("Redis is not trusted"),
        gettext_lazy("It was away, and what could not be told it waits in the outbox: `manage.py redis_drain`."),
    ),
    "writing": (
        gettext_lazy("writes are under way all the time"),
        gettext_lazy("Keep transactions that write short: while one is open, what it has marked cannot be stored."),
    ),
    "off": (
        gettext_lazy("`REDIS_TOOLKIT_ENABLED` is False"),
        gettext_lazy("Set it to True. Writes have been marked all the time."),
    ),
}  # fmt: skip
#: Of a view that is never cached: it is who asks, not what.
VISITORS: Final = (
    gettext_lazy("its visitors are known, or send what cannot be told apart"),
    gettext_lazy(
        "Who is logged in, has a session in use, a message or credentials is known: `private=True` keeps an answer for "
        "each visitor, but for those with credentials. Or cache what the view asks for."
    ),
)
_ENDED: Final = {
    "*": gettext_lazy("a write anywhere in the table"),
    "row": gettext_lazy("a write to the row"),
    "new": gettext_lazy("a row that was added"),
}


def reason(word: str) -> str:
    """Why a read was no hit, as a sentence."""
    return str(_REASONS.get(word, word))


def ended(what: str) -> str:
    """What ended an entry: its stamp, in words; one of another model begins with that model's label."""
    of, _blank, what = what.rpartition(" ")
    if of:
        return f"{of}: {ended(what)}"
    known = _ENDED.get(what)
    if known is not None:
        return str(known)
    names = what.split(",")
    return ngettext("a write to rows of this %(names)s", "a write to rows of these %(names)s", len(names)) % {
        "names": ", ".join(names)
    }


def coded(text: str) -> SafeString:
    """A text in which what stands between backticks is shown as code."""
    parts = text.split("`")
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", each) if at % 2 else each,) for at, each in enumerate(parts))
    )
