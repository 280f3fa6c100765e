"""The connection pools of django-redis, from which address, credentials and TLS come; nobody else asks it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from redis_toolkit.exceptions import Misconfigured

__all__ = ["pool_of"]


def pool_of(alias: str) -> Any:
    """The connection pool of django-redis for ``alias``; it connects to nothing. Raises Misconfigured."""
    from django.core.cache import InvalidCacheBackendError  # noqa: PLC0415 - needs configured settings
    from django_redis import get_redis_connection  # noqa: PLC0415

    try:
        return get_redis_connection(alias, write=True).connection_pool
    except (InvalidCacheBackendError, NotImplementedError) as error:
        message = (
            f"CACHES[{alias!r}] is not a django-redis cache. Set its BACKEND to 'django_redis.cache.RedisCache', or"
            " name another alias in REDIS_TOOLKIT_ALIAS."
        )
        raise Misconfigured(message) from error
    except (ImportError, ImproperlyConfigured) as error:
        raise Misconfigured(f"CACHES[{alias!r}] cannot be used: {error}") from error
    except ValueError:
        # Not chained: the parser quotes what it takes for the port, which may be part of a password.
        message = f"LOCATION of CACHES[{alias!r}] is no address: redis://host:6379/0. Percent-encode its password."
        raise Misconfigured(message) from None
