"""Items, whose versions the database counts, and the audit table in which it notes each of them."""

from __future__ import annotations

from django.db import connection, models

from redis_toolkit.cache import CacheManager

__all__ = ["GROUPS", "ITEMS", "Audit", "Item", "create_tables", "refill"]

ITEMS = 100
GROUPS = 20


class Item(models.Model):
    """``version`` counts the writes to a row, its deletions included; ``tag`` names the writer's step that wrote it."""

    group = models.IntegerField()
    note = models.IntegerField(default=0)
    version = models.BigIntegerField(default=0)
    tag = models.CharField(max_length=40, default="")

    objects = models.Manager()
    cached = CacheManager(by=["group"])


class Audit(models.Model):
    """One version of one item; ``group`` is null where it is a deletion."""

    item = models.BigIntegerField()
    version = models.BigIntegerField()
    tag = models.CharField(max_length=40)
    group = models.IntegerField(null=True)

    class Meta:
        # Two writers that re-create a deleted row at once would both give it the next version: one has to fail.
        constraints = [models.UniqueConstraint(fields=["item", "version"], name="each_version_once")]


# The row lock is held when these run, so versions are counted in the order of the commits.
_TRIGGERS = """
CREATE FUNCTION ledger_number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT coalesce(max(version), 0) + 1 INTO NEW.version FROM ledger_audit WHERE item = NEW.id;
  ELSE
    NEW.version := OLD.version + 1;
  END IF;
  NEW.tag := current_setting('ledger.tag');
  RETURN NEW;
END $$;
CREATE FUNCTION ledger_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO ledger_audit (item, version, tag, "group")
    VALUES (OLD.id, OLD.version + 1, current_setting('ledger.tag'), NULL);
  ELSE
    INSERT INTO ledger_audit (item, version, tag, "group") VALUES (NEW.id, NEW.version, NEW.tag, NEW."group");
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_number BEFORE INSERT OR UPDATE ON ledger_item FOR EACH ROW EXECUTE FUNCTION ledger_number();
CREATE TRIGGER ledger_note AFTER INSERT OR UPDATE OR DELETE ON ledger_item FOR EACH ROW EXECUTE FUNCTION ledger_note();
"""


def create_tables() -> None:
    """Make tables and triggers in an empty database."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGERS)


def refill() -> None:
    """Begin anew: every item at version 1, tagged ``first``."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE ledger_item, ledger_audit")
        cursor.execute("SELECT set_config('ledger.tag', 'first', false)")
        cursor.execute(
            'INSERT INTO ledger_item (id, "group", note, version, tag) '
            "SELECT n, n %% %s, 0, 0, '' FROM generate_series(1, %s) AS n",
            [GROUPS, ITEMS],
        )
