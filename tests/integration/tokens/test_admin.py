"""The page of API tokens in the admin: who sees it, what it shows, how tokens are revoked there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from redis_toolkit import stats
from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import Made, authenticate, make_token, revoke
from redis_toolkit.tokens.texts import digest

pytestmark = [
    pytest.mark.django_db(databases="__all__"),
    pytest.mark.parametrize("store", ["rows"], indirect=True),
]
PAGE = "/admin/redis_toolkit/token/"


@pytest.fixture
def staff(store: str, db: None) -> User:
    return User.objects.create_user("desk", is_staff=True)


@pytest.fixture
def desk(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def permit(staff: User, *codenames: str) -> None:
    staff.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


def shown(client: Client, query: str = "") -> str:
    response = client.get(PAGE + query)
    assert response.status_code == 200
    return response.content.decode()


def handles(page: str) -> list[str]:
    return re.findall(r'<th class="field-handle"><a [^>]*>([0-9a-f]{16})</a>', page)


def remembered(owner: User, **words: Any) -> Made:
    made = make_token(owner, **words)
    assert authenticate(made.text) is not None
    return made


def test_who_sees_it(desk: Client, staff: User, settings: Any) -> None:
    """Staff with the permission; nobody where Redis alone has the tokens, a superuser included."""
    assert desk.get(PAGE).status_code == 403
    assert PAGE not in desk.get("/admin/").content.decode()
    permit(staff, "view_token")
    assert handles(shown(desk)) == []
    assert PAGE in desk.get("/admin/").content.decode()
    assert Client().get(PAGE).status_code == 302
    staff.is_superuser = True
    staff.save()
    settings.REDIS_TOOLKIT_TOKEN_STORE = "redis"
    assert desk.get(PAGE).status_code == 403
    assert PAGE not in desk.get("/admin/").content.decode()


def test_permissions_are_two(ada: User) -> None:
    """To see and to revoke: there is nothing to add or to change. The migration knows."""
    found = Permission.objects.filter(content_type__app_label="redis_toolkit", content_type__model="token")
    assert sorted(each.codename for each in found) == ["delete_token", "view_token"]
    call_command("makemigrations", "redis_toolkit", check=True, dry_run=True, verbosity=0)


def test_pitfall_15_nothing_secret_is_shown(desk: Client, staff: User, ada: User) -> None:
    """Pitfall 15: neither texts nor digests, in the list, of one, or before it is deleted; a superuser sees no more."""
    staff.is_superuser = True
    staff.save()
    made = remembered(ada, name="laptop", scopes=("read", "write"))
    row = Row.objects.get()
    for way in ("", f"{row.pk}/change/", f"{row.pk}/delete/", f"{row.pk}/history/"):
        page = shown(desk, way)
        assert made.text not in page
        assert digest(made.text)[:8] not in page
    for way in ("", f"{row.pk}/change/"):
        page = shown(desk, way)
        assert made.token.handle in page
        assert "laptop" in page
        assert "read write" in page
        assert f"ada ({ada.pk})" in page


def test_nothing_is_made_or_changed(desk: Client, staff: User, ada: User) -> None:
    """Not by a superuser either."""
    staff.is_superuser = True
    staff.save()
    made = remembered(ada, scopes=("read",))
    row = Row.objects.get()
    assert desk.get(PAGE + "add/").status_code == 403
    assert desk.post(PAGE + "add/", {"user_id": "1"}).status_code == 403
    assert desk.post(f"{PAGE}{row.pk}/change/", {"scopes": "admin", "digest": "0" * 64}).status_code == 403
    for lookup in ("digest", "digest__startswith", "digest__in"):
        assert desk.get(PAGE, {lookup: digest(made.text)}).status_code == 400
    assert desk.get(PAGE, {"replaced": "0"}).status_code == 200
    assert Row.objects.get().scopes == "read"


def test_searched(desk: Client, staff: User, ada: User) -> None:
    """By handle, by name, by owner: the primary key, or a part of the user name."""
    permit(staff, "view_token")
    bob = User.objects.create_user("bob")
    one, two = make_token(ada, name="laptop"), make_token(bob, name="phone")
    for text, found in (
        (one.token.handle, one), ("phon", two), (str(bob.pk), two), ("AD", one), ("bo", two), ("nothing", None),
        (digest(one.text), None), (one.text, None), ("ada phone", None),
    ):  # fmt: skip
        response = desk.get(PAGE, {"q": text})
        assert handles(response.content.decode()) == ([] if found is None else [found.token.handle])


def test_owners_cost_one_query(desk: Client, staff: User, ada: User) -> None:
    """However many there are; who is gone is known by their key."""
    permit(staff, "view_token")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            shown(desk)
        return len(queries)

    make_token(ada)
    cost()
    before = cost()
    for name in "abcde":
        make_token(User.objects.create_user(name))
    make_token("somebody")
    assert cost() == before
    assert "somebody (unknown)" in shown(desk)


def test_revoked(desk: Client, staff: User, ada: User, said: list[Any]) -> None:
    """By who may: at once, signals are heard, and the admin's log has it. Others are not asked."""
    permit(staff, "view_token")
    made = [remembered(ada, name=name) for name in "abc"]
    chosen = {"action": "revoke", "_selected_action": [row.pk for row in Row.objects.filter(name__in="ab")]}
    assert 'value="revoke"' not in shown(desk)
    desk.post(PAGE, chosen)
    assert all(authenticate(each.text) for each in made)
    permit(staff, "delete_token")
    assert 'value="revoke"' in shown(desk)
    assert "delete_selected" not in shown(desk)
    del said[:]
    told = desk.post(PAGE, chosen, follow=True).context["messages"]
    assert [str(each) for each in told] == ["2 tokens were revoked."]
    assert {each[2] for each in said} == {(made[0].token.handle,), (made[1].token.handle,)}
    assert [authenticate(each.text) is not None for each in made] == [False, False, True]
    assert LogEntry.objects.filter(user=staff, object_repr__startswith=made[0].token.handle).count() == 1
    del said[:]
    assert desk.post(f"{PAGE}{Row.objects.get().pk}/delete/", {"post": "yes"}).status_code == 302
    assert said == [("revoked", str(ada.pk), (made[2].token.handle,))]
    assert authenticate(made[2].text) is None


def test_what_became_of_tokens_lately(desk: Client, staff: User, ada: User, settings: Any) -> None:
    """Beside the list, below the tabs of what this user may see; where nothing is counted that is what it says."""
    permit(staff, "view_token", "view_server")
    assert "REDIS_TOOLKIT_STATS is False" in shown(desk)
    settings.REDIS_TOOLKIT_STATS = True
    stats.flush()
    made = [make_token(ada) for _ in range(3)]
    assert authenticate("rtk_nothing") is None
    assert authenticate(made[0].text + "x") is None
    assert revoke(ada, made[0].token.handle)
    stats.flush()
    page = desk.get(PAGE)
    assert page.context["lately"] == "In the last day: 3 made, 2 refused, 1 revoked."
    assert [(name, is_current) for _, name, is_current in page.context["tabs"]] == [
        ("API tokens", True), ("Health of the servers", False),
    ]  # fmt: skip
    assert "In the last day: 3 made, 2 refused, 1 revoked." in page.content.decode()


def test_what_has_ended(desk: Client, staff: User, ada: User, clock: Any) -> None:
    """It is shown, as what it is."""
    permit(staff, "view_token")
    make_token(ada, ttl=10)
    assert "icon-yes" in shown(desk)
    clock.move(10)
    assert "icon-no" in shown(desk)
