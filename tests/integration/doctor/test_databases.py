"""What the doctor says of a database that is away: without pytest-django's mark, which knows the aliases."""

from __future__ import annotations

from typing import Any

from django.db import connections

from redis_toolkit.cache import databases
from redis_toolkit.doctor.project import judge_outboxes, said_by_checks


def test_a_database_that_is_away(django_db_setup: None, django_db_blocker: Any):
    """It is told of in one line, hinders no other, and its checks are left out."""
    gone = {**connections["postgres"].settings_dict, "HOST": "127.0.0.1", "PORT": "1", "NAME": "elsewhere"}
    connections.settings["gone"] = gone
    databases.forget()
    try:
        with django_db_blocker.unblock():
            found = {each.subject: each for each in judge_outboxes()}
            said = {each.subject for each in said_by_checks()}
    finally:
        connections["gone"].close()
        del connections["gone"]
        del connections.settings["gone"]
        databases.forget()
    away = found["DATABASES['gone']"]
    assert (away.id, away.level) == ("D175", "advice")
    assert away.sentence.startswith("Not known: the database does not answer (connection")
    assert "\n" not in away.sentence
    assert found["DATABASES['postgres']"].id == "D174"
    assert "DATABASES['gone']" not in said
