"""Rows of typed columns, without a database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.postgres.fields import ArrayField, DateRangeField, HStoreField, IntegerRangeField
from django.contrib.postgres.search import SearchVectorField
from django.db import connections, models
from django.db.models.expressions import Col, ColPairs, Func, RawSQL, Value
from django.db.models.functions import Length, TruncDay
from hypothesis import example, given
from hypothesis import strategies as st

from redis_toolkit.core.codecs import RowsCodec, column_for, unsupported_reason
from redis_toolkit.exceptions import CodecError
from tests.app.models.fields import Annex, Everything, Money, Seat, Stock, Wallet
from tests.exactness import VALUES, identical

PLAIN_TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | PLAIN_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(PLAIN_TEXT, inner),
    max_leaves=8,
)
#: What Django returns for each field, by its name in the model.
FIELDS = {
    "big_integer": st.integers(-(2**63), 2**63 - 1),
    "binary": st.binary(),
    "boolean": st.booleans(),
    "char": PLAIN_TEXT,
    "colour": st.sampled_from(Everything.Colour.values),
    "date": st.dates(),
    "datetime": (st.datetimes(timezones=st.just(UTC)) | st.datetimes()).map(lambda value: value.replace(fold=0)),
    "decimal": st.decimals(),
    "duration": st.timedeltas(),
    "email": st.emails(),
    "file": PLAIN_TEXT,
    "file_path": PLAIN_TEXT,
    "float": st.floats(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "ip": st.ip_addresses().map(str),
    "json": JSON,
    "positive": st.integers(0, 2**31 - 1),
    "positive_big": st.integers(0, 2**63 - 1),
    "positive_small": st.integers(0, 2**15 - 1),
    "slug": PLAIN_TEXT,
    "small": st.integers(-(2**15), 2**15 - 1),
    "text": PLAIN_TEXT,
    "time": st.times().map(lambda value: value.replace(fold=0)),
    "url": PLAIN_TEXT,
    "uuid": st.uuids(),
    "weekday": st.sampled_from(Everything.Weekday.values),
}
TAGGED = 0xC1


def column(model, name):
    return column_for(model._meta.get_field(name).get_col(model._meta.db_table), connections["default"])


def codec_of(*names, model=Everything):
    return RowsCodec([column(model, name) for name in names])


def kind_of(field):
    field.set_attributes_from_name("value")
    return column_for(Col("t", field), connections["default"]).kind.name


EVERYTHING = codec_of(*FIELDS)


def test_every_field_is_drawn():
    """The strategies cover the model."""
    assert {field.name for field in Everything._meta.fields} == {"id", *FIELDS}


@pytest.mark.parametrize("name", FIELDS)
@given(data=st.data())
def test_a_column_comes_back_the_same(name, data):
    """What Django returns for a field comes back equal and of the same type, NULL too, as a typed column."""
    rows = data.draw(st.lists(st.tuples(st.none() | FIELDS[name])))
    codec = codec_of(name)
    payload = codec.encode(rows)
    assert payload[0] != TAGGED
    assert identical(codec.decode(payload), rows)
    assert codec.encode(rows) == payload


@given(st.lists(st.tuples(*(st.none() | values for values in FIELDS.values())), max_size=4))
def test_a_whole_row_comes_back_the_same(rows):
    """All fields beside each other come back the same."""
    assert identical(EVERYTHING.decode(EVERYTHING.encode(rows)), rows)


@given(st.data())
def test_any_value_in_any_column_comes_back_the_same(data):
    """A column may hold what its field does not declare, as SQLite's do: it comes back the same nevertheless."""
    names = data.draw(st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=3))
    codec = codec_of(*names)
    rows = data.draw(st.lists(st.tuples(*(FIELDS[name] | VALUES for name in names)), max_size=4))
    assert identical(codec.decode(codec.encode(rows)), rows)


ROME = ZoneInfo("Europe/Rome")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("integer", "seven"),
        ("integer", 7.0),
        ("integer", True),
        ("integer", 2**64),
        ("boolean", 1),
        ("float", 7),
        ("char", 7),
        ("char", b"seven"),
        ("char", "\ud800"),
        ("decimal", 1.5),
        ("date", datetime(2026, 1, 2, tzinfo=UTC)),
        ("datetime", datetime(2026, 1, 2, tzinfo=ROME)),
        ("datetime", datetime(2026, 10, 25, 2, 30, tzinfo=UTC, fold=1)),
        ("time", time(2, 30, fold=1)),
        ("time", time(2, 30, tzinfo=UTC)),
        ("uuid", "00000000-0000-0000-0000-000000000007"),
        ("binary", memoryview(b"seven")),
    ],
)
def test_what_a_field_does_not_declare_is_tagged(name, value):
    """A value of another type than its field's makes the payload a tagged one, and comes back as it was."""
    codec = codec_of(name, "text")
    rows = [(value, "a"), (None, "b")]
    payload = codec.encode(rows)
    assert payload[0] == TAGGED
    assert identical(codec.decode(payload), rows)


@given(st.binary(max_size=80))
@example(b"")
@example(b"\xc1")
@example(b"\xc1\x91\x91\x01")
@example(b"\x91\x91\x01")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc1" + b"\x91" * 100_000)
def test_random_bytes_are_no_other_error(data):
    """Whatever bytes come, there are rows of the right width or a CodecError."""
    for codec in (EVERYTHING, codec_of("json", "decimal")):
        with suppress(CodecError):
            assert {len(row) for row in codec.decode(data)} <= {len(FIELDS), 2}


@given(st.data())
def test_damage_is_no_other_error(data):
    """A payload with bytes changed, cut or added is rows or a CodecError."""
    codec = codec_of("integer", "char", "decimal", "datetime", "duration", "json", "uuid")
    row = (7, "seven", Decimal("7.00"), datetime(2026, 1, 2, tzinfo=UTC), timedelta(7), {"a": [1]}, None)
    payload = bytearray(codec.encode([row] * 3))
    if data.draw(st.booleans()):
        payload = bytearray(codec.encode([row, (2**70, *row[1:])]))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(payload) - 1), st.integers(0, 255)))):
        payload[place] = byte
    with suppress(CodecError):
        codec.decode(bytes(payload[: data.draw(st.integers(0, len(payload)))]))


def test_a_view_of_a_larger_buffer_is_decoded():
    """The payload may be a slice of what Redis returned, without a copy, tagged or not."""
    codec = codec_of("integer", "char")
    for rows in ([(7, "seven")], [("x", "seven")]):
        answer = b"header" + codec.encode(rows)
        assert codec.decode(memoryview(answer)[6:]) == rows


def test_another_shape_is_refused():
    """A payload of more, fewer or other columns is a CodecError, tagged or not."""
    codec = codec_of("integer", "char")
    for rows in ([(7,)], [(7, "seven", 7)], [("seven", 7)]):
        other = codec_of(*("integer" if type(value) is int else "char" for value in rows[0]))
        with pytest.raises(CodecError, match="of other columns"):
            codec.decode(other.encode(rows))
    for rows in ([(2**70,)], [(2**70, "seven", 7)]):
        other = codec_of(*("integer" if type(value) is int else "char" for value in rows[0]))
        with pytest.raises(CodecError, match="of other columns"):
            codec.decode(other.encode(rows))


def test_no_rows_are_one_byte():
    """An empty answer is one byte."""
    assert EVERYTHING.encode([]) == b"\x90"
    assert EVERYTHING.decode(b"\x90") == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1,)], "Rows of 1 values cannot be stored as 2 columns."),
        ([(1, "a", 2)], "Rows of 3 values cannot be stored as 2 columns."),
        ([(1, "a"), (1,)], "Rows of uneven length"),
    ],
)
def test_rows_of_another_width_are_refused(rows, message):
    """Rows that are not as wide as the columns are a CodecError, not a wrong payload."""
    with pytest.raises(CodecError, match=message):
        codec_of("integer", "char").encode(rows)


def test_a_refusal_names_the_column():
    """The message says which column holds what cannot be stored."""
    with pytest.raises(CodecError, match=r"^Column app\.everything\.char: A value of type builtins\.complex cannot"):
        codec_of("integer", "char").encode([(1, "a"), (1, 1j)])
    with pytest.raises(CodecError, match=r"^Column app\.everything\.json: A value of type builtins\.complex"):
        codec_of("json").encode([({"a": [1j]},)])


def test_a_list_that_contains_itself_is_refused():
    """Endless nesting in a JSON column is a CodecError."""
    endless = []
    endless.append(endless)
    with pytest.raises(CodecError, match="nested too deeply"):
        codec_of("json").encode([(endless,)])


def test_two_reads_share_nothing():
    """Each decoding makes its own lists and dicts."""
    codec = codec_of("json")
    payload = codec.encode([({"a": [1]},)])
    [(first,)], [(second,)] = codec.decode(payload), codec.decode(payload)
    assert first == second
    assert first is not second
    assert first["a"] is not second["a"]


def test_threads_share_a_codec():
    """Eight threads that read eight payloads by one codec at once each get their own rows, 400 times."""
    codec = codec_of("integer", "json")
    rows = [[(place, {"moment": (place, Decimal(place))})] * 20 for place in range(8)]
    payloads = [codec.encode(each) for each in rows]
    start = threading.Barrier(8)

    def read(place):
        start.wait()
        return sum(codec.decode(payloads[place]) == rows[place] for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(read, range(8))) == 400


class TestFingerprint:
    """Eight bytes that say what a payload means."""

    def test_it_changes_with_the_columns(self):
        """Names, order, number, types and models of the columns each change it."""
        found = [
            codec_of("integer", "char"),
            codec_of("char", "integer"),
            codec_of("integer"),
            codec_of("integer", "text"),
            codec_of("small", "char"),
            codec_of("char", "char"),
            codec_of("decimal"),
            codec_of("price", model=Stock),
            codec_of("total", model=Stock),
            codec_of("words", model=Wallet),
            codec_of("note", model=Wallet),
            codec_of("pk", model=Seat),
            codec_of("hall", "price", model=Seat),
            EVERYTHING,
        ]
        assert len({codec.fingerprint for codec in found}) == len(found)
        assert {len(codec.fingerprint) for codec in found} == {8}

    def test_it_changes_with_the_type_of_a_column(self):
        """A field that keeps its name and changes its type, its decimal places or its decoder changes it."""
        fields = [
            models.CharField(max_length=9),
            models.TextField(),
            models.IntegerField(),
            models.DecimalField(max_digits=9, decimal_places=2),
            models.DecimalField(max_digits=9, decimal_places=3),
            models.JSONField(),
            models.JSONField(decoder=Wallet._meta.get_field("prices").decoder),
            ArrayField(models.IntegerField()),
            ArrayField(models.TextField()),
        ]
        found = set()
        for field in fields:
            field.set_attributes_from_name("value")
            found.add(RowsCodec([column_for(Col("t", field), connections["default"])]).fingerprint)
        assert len(found) == len(fields)

    def test_it_is_the_same_in_every_process(self):
        """Neither the process nor its hash seed changes it."""
        script = (
            "import django; django.setup()\n"
            "from django.db import connections as found\n"
            "from redis_toolkit.core.codecs import RowsCodec, column_for\n"
            "from tests.app.models.fields import Everything\n"
            "columns = [column_for(each.get_col('t'), found['default']) for each in Everything._meta.fields[1:]]\n"
            "print(RowsCodec(columns).fingerprint.hex())"
        )
        ours = [column(Everything, field.name) for field in Everything._meta.fields[1:]]
        theirs = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "1", "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
        assert theirs.stdout == RowsCodec(ours).fingerprint.hex() + "\n"


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (models.AutoField(primary_key=True), "int"),
        (models.BigAutoField(primary_key=True), "int"),
        (models.SmallAutoField(primary_key=True), "int"),
        (models.ImageField(), "str"),
        (models.URLField(), "str"),
        (models.SlugField(), "str"),
        (models.DateTimeField(), "datetime"),
        (models.BinaryField(), "bytes"),
        (ArrayField(ArrayField(models.DecimalField(max_digits=9, decimal_places=2))), "array(array(decimal))"),
        (ArrayField(models.JSONField()), "any"),
        (HStoreField(), "hstore"),
        (SearchVectorField(), "any"),
        (type("TypedField", (models.Field,), {"get_internal_type": lambda self: "UUIDField"})(), "uuid"),
        (type("OddField", (models.Field,), {"db_type": lambda self, connection: "point"})(), "any"),
        (Annex._meta.get_field("stock"), "uuid"),
        (Annex._meta.get_field("twin"), "uuid"),
        (Stock._meta.get_field("loud"), "str"),
        (Stock._meta.get_field("total"), "decimal"),
        (Stock._meta.get_field("wallet"), "str"),
        (Wallet._meta.get_field("note"), "str"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__ + str(each.creation_counter),
)
def test_the_kind_follows_the_field(field, kind):
    """Subclasses are of their parent's kind, keys of their target's, generated columns of their output's."""
    if not hasattr(field, "name") or field.name is None:
        field.set_attributes_from_name("value")
    assert column_for(Col("t", field), connections["default"]).kind.name == kind


def test_expressions_without_a_field_say_what_they_are():
    """Raw SQL and truncated moments have no type known beforehand; a length has."""
    connection = connections["default"]
    moment = Everything._meta.get_field("datetime").get_col("t")
    assert column_for(RawSQL("1", ()), connection).kind.name == "any"
    assert column_for(TruncDay(moment, output_field=models.DateTimeField()), connection).kind.name == "any"
    assert column_for(Length(Value("a")), connection).kind.name == "int"
    assert column_for(None, connection).kind.name == "any"


def test_nested_arrays_come_back_the_same():
    """Arrays of arrays keep their values' types, NULL items and NULL arrays."""
    field = ArrayField(ArrayField(models.DecimalField(max_digits=9, decimal_places=2)))
    field.set_attributes_from_name("value")
    codec = RowsCodec([column_for(Col("t", field), connections["default"])])
    rows = [([[Decimal("1.10"), None], [Decimal("-0.00")]],), (None,), ([],), ([[]],)]
    payload = codec.encode(rows)
    assert payload[0] != TAGGED
    assert identical(codec.decode(payload), rows)
    assert identical(codec.decode(codec.encode([([[1]],)])), [([[1]],)])


@given(st.lists(st.tuples(st.none() | st.dictionaries(PLAIN_TEXT, st.none() | PLAIN_TEXT))))
def test_hstores_come_back_the_same(rows):
    """Maps of text to text or NULL come back the same, in the same order."""
    field = HStoreField()
    field.set_attributes_from_name("value")
    codec = RowsCodec([column_for(Col("t", field), connections["default"])])
    assert codec.encode(rows)[0] != TAGGED
    assert identical(codec.decode(codec.encode(rows)), rows)
    for odd in ({None: "a"}, {"a": 1}, {1: "a"}, "a=>1", [("a", "1")]):
        assert identical(codec.decode(codec.encode([(odd,)])), [(odd,)])


class TestConversion:
    """Which converters run on a miss, and which on every read."""

    def test_django_s_own_run_once(self):
        """What SQLite returns becomes what Django returns, and reading it runs nothing: the same list comes back."""
        connection = connections["default"]
        codec = codec_of("uuid", "boolean", "date", "json", "decimal")
        stored = codec.convert([("0" * 31 + "7", 1, "2026-01-02", '{"a": 1}', 1.5)], connection)
        assert repr(stored) == (
            "[(UUID('00000000-0000-0000-0000-000000000007'), True, datetime.date(2026, 1, 2), {'a': 1}, "
            "Decimal('1.5000'))]"
        )
        assert codec.finish(stored, connection) is stored

    def test_the_project_s_run_on_every_read(self):
        """A value of a project's field is stored as the database gave it, and read through its own conversion."""
        connection = connections["default"]
        codec = codec_of("key", "words", "prices", "note", "spent", model=Wallet)
        raw = [("12.50 EUR", "a,b", '{"x": 1.10}', "n", 5_400_000_000), ("1 CHF", None, None, None, None)]
        stored = codec.convert(raw, connection)
        assert stored == [(*raw[0][:4], timedelta(hours=1.5)), raw[1]]
        payload = codec.encode(stored)
        assert payload[0] != TAGGED
        answer = codec.finish(codec.decode(payload), connection)
        assert identical(
            answer,
            [
                (Money(Decimal("12.50"), "EUR"), ["a", "b"], {"x": Decimal("1.10")}, "n", 1.5),
                (Money(Decimal(1), "CHF"), None, None, None, None),
            ],
        )

    def test_a_foreign_key_reads_as_its_target(self):
        """A foreign key to a key with a conversion of its own runs that."""
        codec = codec_of("wallet", model=Stock)
        assert codec.finish([("1 EUR",)], connections["default"]) == [(Money(Decimal(1), "EUR"),)]

    def test_a_composite_key_is_one_value(self):
        """Two columns become one tuple, whose parts are converted each by its own field."""
        connection = connections["default"]
        codec = codec_of("hall", "pk", "holder", "pk", model=Seat)
        stored = codec.convert([(1, 1, "2 EUR", "Ada", 1, "2 EUR")], connection)
        assert stored == [(1, (1, "2 EUR"), "Ada", (1, "2 EUR"))]
        payload = codec.encode(stored)
        assert payload[0] != TAGGED
        seat = (1, Money(Decimal(2), "EUR"))
        assert codec.finish(codec.decode(payload), connection) == [(1, seat, "Ada", seat)]

    def test_a_composite_of_other_types_comes_back_the_same(self):
        """A composite value that its fields do not declare is tagged."""
        codec = codec_of("pk", model=Seat)
        for value in ((1, None), (None, None), ("x", "y"), (1,), None):
            assert identical(codec.decode(codec.encode([(value,)])), [(value,)])

    @pytest.mark.parametrize(("name", "value"), [("char", "a"), ("json", [1])])
    def test_a_composite_of_plain_fields_is_read_as_stored(self, name, value):
        """Parts without conversions of the project's own run none; a part of any type makes the whole of any type."""
        connection = connections["default"]
        parts = [Everything._meta.get_field("integer"), Everything._meta.get_field(name)]
        columns = [column_for(ColPairs("t", parts, parts, None), connection), column(Wallet, "words")]
        codec = RowsCodec(columns)
        assert not codec.is_plain
        assert RowsCodec(columns[:1]).is_plain
        stored = [((7, value), "a,b")]
        assert identical(codec.finish(codec.decode(codec.encode(stored)), connection), [((7, value), ["a", "b"])])

    def test_columns_without_a_type_are_read_as_they_come(self):
        """Raw SQL of no type, and no expression at all, run no converter."""
        connection = connections["default"]
        codec = RowsCodec([column_for(each, connection) for each in (RawSQL("1", ()), None)])
        assert codec.convert([["a", 1.5]], connection) == [("a", 1.5)]
        assert identical(codec.decode(codec.encode([("a", Decimal(1))])), [("a", Decimal(1))])

    def test_an_array_of_the_project_s_items_is_read_by_its_own_conversion(self):
        """An array converts items by its base field: if that is the project's, on every read."""
        field = ArrayField(Wallet._meta.get_field("key").clone())
        field.set_attributes_from_name("value")
        codec = RowsCodec([column_for(Col("t", field), connections["postgres"])])
        stored = codec.convert([(["1 EUR"],)], connections["postgres"])
        assert stored == [(["1 EUR"],)]
        assert codec.finish(stored, connections["postgres"]) == [([Money(Decimal(1), "EUR")],)]


class Scaled(Func):
    """A project's expression whose SQL says nothing of what it makes of a value."""

    function = "ABS"
    output_field = models.IntegerField()

    def __init__(self, *expressions, factor):
        super().__init__(*expressions)
        self.factor = factor

    def convert_value(self, value, expression, connection):
        return value * self.factor


def test_an_expression_with_a_conversion_of_its_own_is_refused():
    """Two such expressions may have one SQL and two answers, so no column is made for either."""
    with pytest.raises(CodecError, match=r"^What Scaled\.convert_value makes of a value may depend on more"):
        column_for(Scaled(Value(1), factor=2), connections["default"])
    priced = Func(Value("1 EUR"), function="UPPER", output_field=Wallet._meta.get_field("key"))
    codec = RowsCodec([column_for(priced, connections["default"])])
    assert codec.finish([("1 EUR",)], connections["default"]) == [(Money(Decimal(1), "EUR"),)]


class OwnRangeField(IntegerRangeField):
    """A project's range."""


@pytest.mark.parametrize(
    "field",
    [
        DateRangeField(),
        OwnRangeField(),
        ArrayField(IntegerRangeField()),
        models.GeneratedField(expression=Value(None), output_field=DateRangeField(), db_persist=True),
    ],
    ids=["range", "own", "array", "generated"],
)
def test_what_is_unsupported_names_the_way_out(field):
    """A field whose values the database returns as objects has a reason, one sentence with the calls that help."""
    reason = unsupported_reason(field)
    assert reason is not None
    assert all(word in reason for word in ("RangeField", ".defer()", ".nocache()"))


def test_everything_else_is_supported():
    """No other field of Django's, and none with a conversion of its own, has a reason against it."""
    fields = [field for model in (Everything, Wallet, Stock, Annex, Seat) for field in model._meta.fields]
    fields += [ArrayField(models.TextField()), HStoreField(), SearchVectorField(), models.ImageField()]
    assert {field.name: reason for field in fields if (reason := unsupported_reason(field))} == {}
