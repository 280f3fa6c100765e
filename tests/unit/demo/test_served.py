"""Each request counts its own reads, however many are answered at once."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from demo_project.served import Served, count_answers, served
from redis_toolkit.signals import cache_read


def read(outcome: str) -> None:
    cache_read.send(sender=None, kind="get", outcome=outcome, alias="default", seconds=0.00125)


def test_requests_do_not_count_each_others_reads() -> None:
    """Two meet in the middle: one counts 3 hits and 1 bypass in 5 ms, the other 2 misses in 2.5; outside none count."""
    barrier = Barrier(2)
    headers = dict[str, str]()
    reads = {"/hits": ["hit", "hit", "hit", "bypass"], "/misses": ["miss", "miss"]}

    def view(request: HttpRequest) -> HttpResponse:
        barrier.wait(5)
        for outcome in reads[request.path]:
            read(outcome)
        barrier.wait(5)
        return HttpResponse()

    def ask(path: str) -> None:
        headers[path] = count_answers(view)(RequestFactory().get(path)).headers["Server-Timing"]

    threads = [Thread(target=ask, args=[path]) for path in reads]
    for thread in threads:
        thread.start()
    read("hit")
    for thread in threads:
        thread.join()
    assert headers["/hits"].startswith(
        'cache;desc="3 hits, 0 misses, 1 bypasses";dur=5.00, db;desc="0 queries", total;dur='
    )
    assert headers["/misses"].startswith(
        'cache;desc="0 hits, 2 misses, 0 bypasses";dur=2.50, db;desc="0 queries", total;dur='
    )


def test_outside_a_request_there_is_nothing_to_say() -> None:
    """The context processor gives None, and a read is not counted anywhere."""
    read("hit")
    assert served(HttpRequest()) == {"served": None}


def test_a_failing_view_leaves_no_counts_behind() -> None:
    """After an error in a view the next reads of this thread are nobody's."""

    def view(request: HttpRequest) -> HttpResponse:
        raise ValueError("no page")

    with pytest.raises(ValueError, match="no page"):
        count_answers(view)(RequestFactory().get("/"))
    assert served(HttpRequest()) == {"served": None}


def test_the_time_runs_from_the_start() -> None:
    """Milliseconds are counted from when the request came in."""
    counts = Served()
    counts.started -= 2
    assert 2000 <= counts.milliseconds < 60_000
