"""Models that do what few do: hooks at construction, odd keys, moments in time, managers in every place."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Upper

from redis_toolkit.cache import CachedQuerySet, CacheManager
from tests.app.models.fields import MoneyField, WordsField
from tests.app.models.school import Badge, Lesson, Student

__all__ = [
    "Album",
    "Author",
    "Box",
    "Chair",
    "City",
    "Country",
    "EarlyLesson",
    "Event",
    "Glass",
    "Ledger",
    "Poem",
    "Season",
    "Shelf",
    "Tag",
    "Thing",
    "Tile",
    "Topic",
    "Ware",
    "Witness",
]


class Event(models.Model):
    """Moments, mutable values, files, and fields with conversions of their own."""

    name = models.CharField(max_length=40)
    starts = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    lasts = models.DurationField(null=True)
    data = models.JSONField(default=dict, null=True)
    file = models.FileField(null=True)
    price = MoneyField(max_length=40, null=True)
    words = WordsField(null=True)
    amount = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    share = models.FloatField(default=0)
    public = models.BooleanField(default=True)

    objects = models.Manager()
    cached = CacheManager(by=["name", "day", "public"])


class Author(models.Model):
    """Its key is another model's row."""

    student = models.OneToOneField(Student, models.CASCADE, primary_key=True, related_name="author")
    #: No key, whatever its name says.
    number = models.IntegerField(default=0)

    objects = models.Manager()
    cached = CacheManager()


class Poem(models.Model):
    """Refers to a key that refers to a key."""

    author = models.ForeignKey(Author, models.CASCADE, related_name="poems")
    cover = models.OneToOneField(Author, models.CASCADE, null=True, related_name="cover_of")
    title = models.CharField(max_length=40)

    objects = models.Manager()
    cached = CacheManager(by=["author"], follow=["author", "cover"])


class Country(models.Model):
    """Referred to by its code."""

    code = models.CharField(max_length=3, unique=True)
    name = models.CharField(max_length=40)

    objects = models.Manager()
    cached = CacheManager()


class City(models.Model):
    """Refers to a code instead of a key."""

    country = models.ForeignKey(Country, models.CASCADE, to_field="code", related_name="cities")
    name = models.CharField(max_length=40)

    objects = models.Manager()
    cached = CacheManager(by=["country"], follow=True)

    class Meta:
        unique_together = (("country", "name"),)


class EarlyLesson(Lesson):
    """The same rows by another class."""

    class Meta:
        proxy = True

    @property
    def is_early(self) -> bool:
        return self.period <= 2


class Witness(models.Model):
    """Tells who built it: ``from_db`` and ``__init__`` of its own."""

    text = models.CharField(max_length=40)
    note = models.CharField(max_length=40, default="")

    objects = models.Manager()
    cached = CacheManager()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initialised = True

    @classmethod
    def from_db(cls, db: Any, field_names: Any, values: Any, **options: Any) -> Witness:
        instance: Any = super().from_db(db, field_names, values, **options)
        instance.loaded = dict(zip(field_names, values, strict=False))
        instance.told = sorted(options)
        loaded: Witness = instance
        return loaded


class Shouting:
    """A descriptor that keeps what it is given in capitals."""

    def __init__(self, field: Any) -> None:
        self.name = field.attname

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value.upper()


class LoudField(models.CharField):
    """A field whose attribute is a descriptor of the project's own."""

    descriptor_class = Shouting


class Glass(models.Model):
    """One attribute is a project's descriptor."""

    text = LoudField(max_length=40)

    objects = models.Manager()
    cached = CacheManager()


class Ledger(models.Model):  # type: ignore[django-manager-missing]
    """Answers from the cache everywhere Django lets one choose: the default manager and the base manager."""

    name = models.CharField(max_length=40)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")  # type: ignore[django-manager-missing]

    cached = CachedQuerySet.as_manager()  # type: ignore[django-manager-missing]
    plain = models.Manager()

    class Meta:
        default_manager_name = "cached"
        base_manager_name = "cached"


class Tile(models.Model):
    """Its uniqueness is decided only at the commit, so two rows may share a place until then."""

    place = models.IntegerField()
    colour = models.CharField(max_length=10)

    objects = models.Manager()
    cached = CacheManager()

    class Meta:
        required_db_features = ("supports_deferrable_unique_constraints",)
        constraints = (
            models.UniqueConstraint(fields=["place"], name="one_tile_a_place", deferrable=models.Deferrable.DEFERRED),
        )


class Season(models.Model):
    """A view: what it shows changes with tables that are not its own."""

    title = models.CharField(max_length=100)

    objects = models.Manager()
    cached = CacheManager()

    class Meta:
        managed = False
        db_table = "app_season"


class Tag(models.Model):
    """Hangs on a row of any model."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.IntegerField()
    target = GenericForeignKey()
    text = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager()


class Topic(models.Model):
    """Tags may hang on it."""

    name = models.CharField(max_length=20)
    tags = GenericRelation(Tag, related_query_name="topics")

    objects = models.Manager()
    cached = CacheManager()


class Album(models.Model):
    """Many to many with a model whose default manager is cached."""

    name = models.CharField(max_length=20)
    badges = models.ManyToManyField(Badge, related_name="albums")

    objects = models.Manager()
    cached = CacheManager()


class Chair(models.Model):
    """A primary key of two columns."""

    pk = models.CompositePrimaryKey("hall", "number")
    hall = models.IntegerField()
    number = models.IntegerField()
    holder = models.CharField(max_length=20, default="")

    objects = models.Manager()
    cached = CacheManager(by=["hall"])


class Ware(models.Model):
    """Values that the database works out."""

    name = models.CharField(max_length=20)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=20), db_persist=True
    )
    stock = models.IntegerField(db_default=7)

    objects = models.Manager()
    cached = CacheManager(by=["stock"])


class Shelf(models.Model):
    """Boxes stand on it."""

    name = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager()


class FilledManager(models.Manager["Box"]):
    """Always fetches what is in a box."""

    def get_queryset(self) -> models.QuerySet[Box]:
        return super().get_queryset().prefetch_related("things")


class Box(models.Model):
    """Its default manager fetches its things, asked or not."""

    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="boxes")

    objects = FilledManager()


class Thing(models.Model):
    """Lies in a box."""

    box = models.ForeignKey(Box, models.CASCADE, related_name="things")

    objects = models.Manager()
    cached = CacheManager()
