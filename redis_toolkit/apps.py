"""The app: connects receivers and checks; no logic of its own."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core.checks import Tags, register
from django.core.signals import got_request_exception
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, post_save, pre_migrate


class RedisToolkitConfig(AppConfig):
    """``"redis_toolkit"`` in ``INSTALLED_APPS``."""

    name = "redis_toolkit"
    verbose_name = "Redis toolkit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Watch the connections that are open and those to come."""
        from redis_toolkit.cache import following, receivers, through
        from redis_toolkit.checks import check_databases, check_models, check_server, check_settings
        from redis_toolkit.contrib import log_events
        from redis_toolkit.sessions import passwords
        from redis_toolkit.signals import breaker_changed
        from redis_toolkit.stats import hearing, offenders
        from redis_toolkit.tokens import receivers as tokens

        register(check_settings, Tags.caches)
        register(check_models, Tags.models)
        register(check_databases, Tags.database)
        register(check_server, Tags.caches, deploy=True)
        connection_created.connect(receivers.on_connection, dispatch_uid="redis_toolkit.watch")
        for connection in connections.all(initialized_only=True):
            receivers.on_connection(sender=type(connection), connection=connection)
        receivers.connect_post_save(post_save)
        following.install(apps.get_models(include_auto_created=True))
        through.connect(post_save)
        breaker_changed.connect(receivers.on_breaker, dispatch_uid="redis_toolkit.outbox")
        pre_migrate.connect(receivers.before_migrate, sender=self, dispatch_uid="redis_toolkit.migrates")
        post_migrate.connect(receivers.on_migrate, sender=self, dispatch_uid="redis_toolkit.migrated")
        offenders.connect()
        hearing.connect()
        log_events.connect()
        passwords.connect()
        tokens.connect()
        got_request_exception.connect(receivers.on_request_exception, dispatch_uid="redis_toolkit.rollback")
