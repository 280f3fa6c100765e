"""Does what each line says, on the database named by the argument, and answers with a line: ``read`` or a rename."""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def main(alias: str) -> None:
    """Serve until the input ends."""
    django.setup()
    from redis_toolkit.signals import cache_read
    from tests.moving.before.models import Package

    outcomes: list[str] = []

    def heard(outcome: str, **_: Any) -> None:
        outcomes.append(outcome)

    cache_read.connect(heard)
    cached = Package.cached.db_manager(alias)
    for line in sys.stdin:
        outcomes.clear()
        answers: Any = None
        if line.strip() == "read":
            answers = [
                cached.get(pk=-1).name,
                cached.get(name="two").shade,
                [each.name for each in cached.filter(shade="red").order_by("pk")],
                [list(each) for each in cached.order_by("pk").values_list("name", "shade")],
                cached.count(),
            ]
        else:
            package = Package.objects.using(alias).get(pk=-1)
            package.name = line.strip()
            package.save()
        print(json.dumps([answers, outcomes]), flush=True)  # noqa: T201 - that is its answer


if __name__ == "__main__":
    main(sys.argv[1])
