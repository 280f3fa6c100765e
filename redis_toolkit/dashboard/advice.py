"""What the numbers advise: pure judgement over figures, which asks nobody.

Of one thing at most one piece of advice speaks of whether to cache it and how, so that no two contradict each other:
the first that applies, of those that say "do not", then those that say "do it otherwise". Only what is too large is
told beside. Below a minimum of events nothing is said: chance would speak.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from django.utils.translation import gettext as _

from redis_toolkit.dashboard.columns import Names, declarations, undeclared, written
from redis_toolkit.dashboard.measures import hit_time, load_time, saved_with
from redis_toolkit.dashboard.reasons import CAUSES, VISITORS
from redis_toolkit.dashboard.units import duration, percent, size
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.stats import Figures

__all__ = ["NOTHING_KNOWN", "Advice", "Facts", "advise"]

#: Reads below which nothing is said of how they went: a page that was opened a few times tells nothing.
_READS: Final = 100
#: Misses below which nothing is said of why they were.
_MISSES: Final = 20
#: Writes and reads from which on the two are compared.
_WRITES: Final = 50
_COMPARED: Final = 20
#: Seconds that a write spends on marking: two round trips with their scripts, rather less than more.
_MARKING: Final = 0.001
#: The share of misses from which on their cause is worth a word: the most frequent one.
_MOST: Final = 0.5
#: The share of reads that must be misses for it to matter which they are.
_MATTERS: Final = 0.05
#: The share of reads that is called nearly all.
_NEARLY: Final = 0.9
#: Hits from which on their time is compared with that of loads, and the share of it that loads may take to be called
#: cheap: times scatter, most of all on a busy machine.
_TIMED: Final = 500
_CHEAP: Final = 0.5
#: Evicted keys from which on it is no accident, and their share of what was stored.
_EVICTED: Final = 100
_PRESSING: Final = 0.05
#: Seconds below which a ttl is called short: a page that is read all day is loaded hundreds of times.
_SHORT: Final = 300.0
#: The share of reads that must find nothing for a ttl to be the reason, and so much more often than writes end entries.
_GONE: Final = 0.2
_FAR_ABOVE: Final = 5
#: Calls, and the share of hits, by which a function is known whose arguments do not come back.
_CALLS: Final = 200
_FEW: Final = 0.1
#: The share of what was loaded that must have been stored for anything to be said of why it was not found.
_STORED_MOSTLY: Final = 0.5
#: Mean bytes of an entry from which on each hit is a small download (1 ms of a link of 1 Gbit/s), of so many stored.
_LARGE: Final = 128 * 1024
_STORED: Final = 20

#: Reasons that tell of Redis, or of a switch, and not of what is read.
_AWAY: Final = ("breaker", "outage", "untrusted", "off")
_MODELS: Final = frozenset({"get", "bulk", "rows", "count", "exists", "aggregate"})


class Facts(NamedTuple):
    """What is declared of a subject. ``ttl``: seconds, None where it is not known; ``by``: that of its managers."""

    ttl: float | None = None
    by: tuple[Names, ...] = ()


NOTHING_KNOWN: Final = Facts()


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice. ``subject``: of what ("" of the server); ``about``: a word for it that never changes.

    ``sentence`` says what is the matter, with its numbers, ``cure`` what to do; in both, backticks stand around code.
    """

    about: Literal["evicted", "written", "bypassed", "cheap", "unstored", "single", "by", "ttl", "large"]
    subject: str
    sentence: str
    cure: str


def advise(figures: Figures, facts: Mapping[str, Facts], subjects: Iterable[str], server: str) -> list[Advice]:
    """What to do about the cache's ``server`` (an alias of CACHES), and about these ``subjects``, in their order."""
    found = _of_the_server(figures, server)
    is_evicting = bool(found)
    for subject in subjects:
        found += _of(_Case(figures, subject, facts.get(subject, NOTHING_KNOWN), is_evicting))
    return found


def _of_the_server(figures: Figures, server: str) -> list[Advice]:
    evicted = figures.total("server", server, "evicted")
    stored = figures.count("bytes")
    if evicted < _EVICTED or evicted < _PRESSING * stored:
        return []
    sentence = _(
        "The server evicts (%(evicted)s keys, while %(stored)s entries were stored): raise `maxmemory` or shorten "
        "`ttl`."
    )
    cure = _("What it evicts is loaded again by its next reader. Nothing wrong is ever served because of it.")
    return [Advice("evicted", "", sentence % {"evicted": whole(evicted), "stored": whole(stored)}, cure)]


class _Case:
    """A subject and its numbers."""

    def __init__(self, figures: Figures, subject: str, facts: Facts, is_evicting: bool) -> None:  # noqa: FBT001
        self.figures = figures
        self.subject = subject
        self.facts = facts
        self.is_evicting = is_evicting
        self.hits = figures.hits(subject)
        self.misses = figures.misses(subject)
        self.bypasses = figures.bypasses(subject)
        self.reads = self.hits + self.misses + self.bypasses
        self.writes = figures.count("write", subject)
        self.stored = figures.count("bytes", subject)
        kinds = {detail.partition(".")[0] for detail in figures.details("read", subject)}
        self.is_model = bool(kinds & _MODELS)
        self.is_view = "view" in kinds
        #: As people call it: of a model its name alone.
        self.name = subject.rpartition(".")[2] if self.is_model else subject

    def count(self, metric: str, detail: str | None = None) -> int:
        return self.figures.count(metric, self.subject, detail)

    def advice(self, about: str, sentence: str, cure: str, **numbers: str) -> Advice:
        given = {"name": f"`{self.name}`", **numbers}
        return Advice(about, self.subject, sentence % given, cure % given)  # type: ignore[arg-type]


def _of(case: _Case) -> list[Advice]:
    judges = (_written, _bypassed, _cheap, _unstored, _single, _by, _ttl)
    first = next((each for each in (judge(case) for judge in judges) if each is not None), None)
    found = [] if first is None else [first]
    # Of what had better not be cached it does not matter how large it is.
    if (first is None or first.about in {"by", "ttl"}) and (large := _large(case)) is not None:
        found.append(large)
    return found


def _written(case: _Case) -> Advice | None:
    if case.reads < _COMPARED or case.writes < _WRITES or case.writes <= case.reads:
        return None
    # While Redis is away, or the cache is off, reads tell nothing of what it would save.
    if sum(case.count("reason", word) for word in _AWAY) >= _MOST * case.reads:
        return None
    # Many writes to rows that nobody reads may leave much that is saved.
    if saved_with(case.figures, case.subject) > case.writes * _MARKING:
        return None
    return case.advice(
        "written",
        _(
            "%(name)s is written more often than read: caching costs more than it saves (%(writes)s writes, "
            "%(reads)s reads, %(ratio)s of them hits)."
        ),
        _(
            "Read it through `objects`. If no cached answer depends on it, take its CacheManager away: its writes "
            "then mark nothing."
        ),
        writes=whole(case.writes), reads=whole(case.reads), ratio=percent(case.hits / case.reads),
    )  # fmt: skip


def _bypassed(case: _Case) -> Advice | None:
    if case.reads < _READS or case.bypasses < _NEARLY * case.reads:
        return None
    often = max(CAUSES, key=lambda word: case.count("reason", word))
    if case.count("reason", often) < _MOST * case.bypasses:
        return None
    why, cure = map(str, VISITORS if case.is_view and often == "uncacheable" else CAUSES[often])
    return case.advice(
        "bypassed", _(
            "Nearly all reads of %(name)s go past the cache (%(share)s of %(reads)s), because %(why)s."
        ), cure,
        share=percent(case.bypasses / case.reads), reads=whole(case.reads), why=why,
    )  # fmt: skip


def _cheap(case: _Case) -> Advice | None:
    hit, load = hit_time(case.figures, case.subject), load_time(case.figures, case.subject)
    if case.hits < _TIMED or hit is None or load is None or load > _CHEAP * hit:
        return None
    # (What is read most may be dear, and what is missed cheap.)
    if case.figures.seconds_saved(case.subject) >= 0:
        return None
    return case.advice(
        "cheap", _("A load of %(name)s takes %(load)s, a hit %(hit)s: caching such cheap queries saves nothing."),
        _("Read it through `objects`, unless it is to spare a database that is slower when many ask it."),
        load=duration(load), hit=duration(hit),
    )  # fmt: skip


def _unstored(case: _Case) -> Advice | None:
    if case.misses < max(_READS, _MOST * case.reads) or case.stored >= _FEW * case.misses:
        return None
    return case.advice(
        "unstored", _(
            "Of %(misses)s answers of %(name)s that were loaded %(stored)s were stored, so the next reader loads again."
        ),
        _(
            "They are too large (`REDIS_TOOLKIT_MAX_ENTRY_BYTES`), of a type that cannot be stored, or Redis refuses "
            "them: the logs `redis_toolkit.cache` and `redis_toolkit.core` say which. What a view or a fragment makes "
            "for one visitor is stored for nobody."
        ),
        misses=whole(case.misses), stored=whole(case.stored),
    )  # fmt: skip


def _single(case: _Case) -> Advice | None:
    empty = case.count("reason", "empty")
    if case.stored < _STORED_MOSTLY * case.misses:
        return None
    if case.is_model or case.is_evicting or case.reads < _CALLS:
        return None
    if case.hits >= _FEW * case.reads or empty < _NEARLY * case.misses or _is_short(case):
        return None
    return case.advice(
        "single",
        _(
            "The arguments of %(name)s hardly ever come twice: %(hits)s of %(reads)s calls were hits, and nothing "
            "was stored for %(empty)s."
        ),
        _(
            "Cache a function of fewer arguments, or none at all; rounded numbers and dates come back, a moment does "
            "not."
        ),
        hits=percent(case.hits / case.reads), reads=whole(case.reads), empty=whole(empty),
    )  # fmt: skip


def _by(case: _Case) -> Advice | None:
    ended = case.count("ended", "*")
    if case.misses < max(_MISSES, _MATTERS * case.reads) or ended < _MOST * case.misses:
        return None
    pinned = {
        tuple(each.split(",")): case.count("pinned", each) for each in case.figures.details("pinned", case.subject)
    }
    # (What was declared since then does not need to be said any more.)
    chosen, helped = declarations(undeclared(pinned, case.facts.by))
    if not chosen or helped < _MOST * ended:
        return None
    return case.advice(
        "by", _(
            "%(name)s: declare `%(by)s`: %(share)s of misses come from `*`, a write anywhere in the table "
            "(%(helped)s of these %(ended)s ask for such values)."
        ),
        _(
            "A write then ends only the answers about the values that its row had and has. Add it to what `by` names "
            "already."
        ),
        by=written(chosen), share=percent(ended / case.misses), helped=whole(helped), ended=whole(ended),
    )  # fmt: skip


def _ttl(case: _Case) -> Advice | None:
    empty = case.count("reason", "empty")
    if case.is_evicting or case.reads < _READS or not _is_short(case) or case.stored < _STORED_MOSTLY * case.misses:
        return None
    if empty < _GONE * case.reads or empty < _FAR_ABOVE * max(1, case.count("reason", "ended")) or not case.hits:
        return None
    return case.advice(
        "ttl", _(
            "%(name)s has a `ttl` of %(ttl)s: %(share)s of %(reads)s reads find nothing, and writes have ended only "
            "%(ended)s of them."
        ),
        _("Raise the `ttl`: answers are exact however long they live, for a write ends them."),
        ttl=duration(case.facts.ttl or 0), share=percent(empty / case.reads), reads=whole(case.reads),
        ended=whole(case.count("reason", "ended")),
    )  # fmt: skip


def _large(case: _Case) -> Advice | None:
    if case.stored < _STORED or (mean := case.figures.total("bytes", case.subject) / case.stored) < _LARGE:
        return None
    return case.advice(
        "large", _(
            "Entries of %(name)s are large: %(mean)s on average, of %(stored)s. Each hit carries as much over the "
            "network."
        ),
        _(
            "Ask for fewer rows, or columns (`only`, `values`); or have them compressed: "
            "`REDIS_TOOLKIT_COMPRESS_ABOVE`."
        ),
        mean=size(mean), stored=whole(case.stored),
    )  # fmt: skip


def _is_short(case: _Case) -> bool:
    return case.facts.ttl is not None and case.facts.ttl < _SHORT
