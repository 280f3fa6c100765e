"""The tables of the toolkit."""

from __future__ import annotations

from django.db import models

__all__ = ["Outbox"]


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
