"""What a user of Redis must be allowed for API tokens, as docs/reference/keys.md says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import TokenLimitReached
from redis_toolkit.tokens import authenticate, make_token, revoke, revoke_all, rotate, tokens_for

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_user_who_may_do_what_the_page_says(ada: User, redis_client: Any, settings: Any) -> None:
    """With these commands and no others tokens are made, known, renewed, replaced, bounded, listed and ended."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "keys.md").read_text("utf-8")
    [commands] = re.findall(r"^and API tokens these:\n\n```\n(.*)\n```$", page, re.MULTILINE)
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~rt:*", "-@all", *commands.split(), "+acl")
    redis_client.execute_command("ACL", "LOG", "RESET")
    link().close()
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 2
    try:
        made = make_token(ada, ttl=100)
        for _ in range(2):
            assert authenticate(made.text)
        new = rotate(ada, made.token.handle, overlap=10)
        assert new is not None
        with pytest.raises(TokenLimitReached):
            make_token(ada)
        assert [each.handle for each in tokens_for(ada)] == [made.token.handle, new.token.handle]
        assert revoke(ada, made.token.handle)
        assert authenticate(made.text) is None
        settings.REDIS_TOOLKIT_TOKEN_LIMIT_POLICY = "evict"
        for _ in range(2):
            make_token(ada)
        assert revoke_all(ada) == 2
        # (What rows could do without Redis was no error.)
        assert redis_client.execute_command("ACL", "LOG") == []
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")
        link().close()
