"""The tables of the toolkit."""

from __future__ import annotations

from django.db import models

__all__ = ["Ban", "Ledger", "Outbox"]


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
