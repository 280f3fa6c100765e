"""What the tests of the pages in the admin share: who looks at them, what is counted, nothing that is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from redis_toolkit.core.connections import link
from redis_toolkit.dashboard import remembered
from redis_toolkit.stats.telling import gathered


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """No page remembers what it found out in another test."""
    remembered.forget()
    yield
    remembered.forget()


@pytest.fixture
def staff(db: None) -> User:
    """Who may log in to the admin, and nothing else."""
    return User.objects.create_user("desk", password="desk", is_staff=True)


@pytest.fixture
def desk(client: Client, staff: User) -> Client:
    """Their browser, logged in."""
    client.force_login(staff)
    return client


@pytest.fixture
def permit(staff: User) -> Callable[..., None]:
    """Give them permissions, by codename."""

    def give(*codenames: str) -> None:
        found = Permission.objects.filter(content_type__app_label="redis_toolkit", codename__in=codenames)
        assert len(found) == len(codenames)
        staff.user_permissions.add(*found)

    return give


@pytest.fixture
def counting(settings: Any, redis_url: str) -> Iterator[None]:
    """What happens is counted; ``redis_toolkit.stats.flush`` tells Redis."""
    settings.REDIS_TOOLKIT_STATS = True
    gathered.take()
    yield
    gathered.take()


@pytest.fixture
def trips(redis_client: Any) -> Callable[[Callable[[], Any]], int]:
    """How many round trips something takes; the second time it is done, when all scripts are there."""

    def count(deed: Callable[[], Any]) -> int:
        deed()
        before = link().total_round_trips
        deed()
        return link().total_round_trips - before

    return count
