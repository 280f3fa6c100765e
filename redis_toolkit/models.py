"""The tables of the toolkit."""

from __future__ import annotations

from django.db import models

__all__ = ["Ban", "CodeCount", "Ledger", "LiveSession", "Outbox", "Server", "Statistic", "Token"]


class Outbox(models.Model):
    """Stamps that a write could not mark because Redis was away: one row for each table that a transaction wrote.

    It is inserted in the write's own transaction, so it is there exactly if the write is. Whoever drops the stamps in
    Redis deletes it.
    """

    #: The id of the transaction, in hexadecimal digits.
    writer = models.CharField(max_length=24)
    #: The key of the table's generation.
    stem = models.CharField(max_length=400)
    #: The names of its stamps, a JSON list; the empty name is the generation.
    names = models.TextField()
    #: When it was written, in seconds since the epoch.
    written = models.FloatField()
    #: In seconds since the epoch, the end of the time in which the write may still be under way; NULL: it is over.
    until = models.FloatField(null=True)

    class Meta:
        db_table = "redis_toolkit_outbox"
        verbose_name = "outbox row"
        verbose_name_plural = "outbox"
        indexes = [models.Index(fields=["writer"], name="redis_toolkit_outbox_writer")]

    def __str__(self) -> str:
        return f"{self.stem} {self.names}"


class Ledger(models.Model):
    """What write-behind has applied: one row for each counter, with the id of its last batch.

    It is changed in the transaction that applies the batch, so it names the batch exactly if the rows have it. Its lock
    is what makes flushers take turns.
    """

    #: The key of the counter's batches in Redis, or its digest where that is too long.
    counter = models.CharField(max_length=200, primary_key=True)
    #: The id of the batch that was applied last; empty before the first.
    batch = models.CharField(max_length=40, blank=True)
    #: When, in seconds since the epoch.
    applied = models.FloatField(default=0.0)

    class Meta:
        db_table = "redis_toolkit_ledger"
        verbose_name = "ledger row"
        verbose_name_plural = "ledger"

    def __str__(self) -> str:
        return f"{self.counter} {self.batch}"


class Ban(Ledger):
    """The throttles' page in the admin: who may see, begin and end bans, which are in Redis.

    A proxy, because Django gives permissions and a place in the admin to models alone, and one without a table cannot
    be dumped. No row is ever read through it.
    """

    class Meta:
        proxy = True
        default_permissions = ("view", "add", "delete")
        verbose_name = "ban"
        verbose_name_plural = "throttles and bans"


class Statistic(Ledger):
    """The cache's pages in the admin: who may see what is counted, and who may end entries, load and compare.

    (Proxies, all of these, for the reason that :class:`Ban` has.)
    """

    class Meta:
        proxy = True
        default_permissions = ("view", "change")
        verbose_name = "cache statistic"
        verbose_name_plural = "cache"


class LiveSession(Ledger):
    """The page of sessions in the admin: who may see who is logged in, and end their sessions."""

    class Meta:
        proxy = True
        default_permissions = ("view", "delete")
        verbose_name = "session"
        verbose_name_plural = "sessions"


class CodeCount(Ledger):
    """The page of one-time codes in the admin: who may see how many there were."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "one-time code"
        verbose_name_plural = "one-time codes"


class Server(Ledger):
    """The page of the servers' health in the admin: who may see it."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "server"
        verbose_name_plural = "health of the servers"


class Token(models.Model):
    """An API token (``redis_toolkit.tokens``), without its text, where a row is the truth (``TOKEN_STORE``).

    ``user_id`` is text and no foreign key: the table is there in projects without ``django.contrib.auth`` as well,
    needs no migration when AUTH_USER_MODEL changes, and may be in another database than the users. Who is deleted or
    may not log in any more loses their tokens by a signal. All times are in microseconds since the epoch.
    """

    #: The SHA-256 of the text, in hexadecimal digits.
    digest = models.CharField(max_length=64, unique=True)
    #: What it is called where the text may not be; no part of it.
    handle = models.CharField(max_length=32, unique=True)
    #: The user's primary key, as text.
    user_id = models.CharField(max_length=255, db_index=True)
    name = models.CharField(max_length=100, blank=True)
    #: Their names, with blanks between.
    scopes = models.TextField(blank=True)
    created = models.BigIntegerField()
    #: NULL: it does not end.
    expires = models.BigIntegerField(null=True)
    #: Not of every use: see TOKEN_USE_INTERVAL. NULL: never.
    last_used = models.BigIntegerField(null=True)
    #: Its ttl; NULL: for ever.
    life = models.BigIntegerField(null=True)
    #: The latest time to which it is renewed; NULL: it is not renewed.
    until = models.BigIntegerField(null=True)
    #: Whether there is another in its place.
    replaced = models.BooleanField(default=False)

    class Meta:
        db_table = "redis_toolkit_token"
        # (What is made by a form would have no text, and what is changed by one may be anybody's.)
        default_permissions = ("view", "delete")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.handle} {self.name}".rstrip()
