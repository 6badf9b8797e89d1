"""Dataclasses as records by field: their types, their columns there and back, and what is refused. Nothing is made here."""

import array
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Optional, Union

import by_field
import contract
import pytest

import sage_guest
from sage_guest import _batches, _host, _rows
from sage_guest._columns import bitmap, bits
from sage_guest._described import description
from sage_guest._shape import record_of
from sage_host import OperatorError
from sage_host.packing import python_operator


@pytest.fixture(autouse=True)
def generated(monkeypatch):
    monkeypatch.setattr(_host, "fields", contract.fields)
    monkeypatch.setattr(_host, "Column", contract.Column)


def described(cls):
    return {each["name"]: (each["type"], each["nullable"]) for each in record_of(cls).described(reads=True)}


def test_every_annotation_is_a_type_of_the_contract():
    assert described(by_field.Everything) == {
        "text": ("string", False),
        "data": ("bytes", False),
        "flag": ("bool", False),
        "whole": ("s64", False),
        "small": ("u8", False),
        "tiny": ("s8", False),
        "number": ("f64", False),
        "single": ("f32", False),
        "at": ("timestamp", False),
        "day": ("date", False),
        "price": ("decimal(18,4)", False),
        "tree": ("json", False),
        "tags": ("list<string>", False),
        "maybe": ("list<s64?>", False),
        "place": ("struct", False),
        "nothing": ("string", True),
        "missing": ("struct", True),
        "unit": ("string", True),
        "a b": ("u32", True),
    }
    (last,) = record_of(by_field.Everything).described(reads=False)[-1:]
    assert last == {"name": "a b", "type": "u32", "nullable": False, "docs": "Has a name of its own."}


REFUSED = [
    (set, "is set, which no field is", "a field is str, bytes"),
    (Union[int, str], "is one of several types", "annotate Any"),
    (list[list[int]], "lists and dataclasses are one level deep", "annotate Any"),
    (list[by_field.Place], "lists and dataclasses are one level deep", "annotate Any"),
    (Decimal, "is a Decimal without its digits", 'Annotated[Decimal, "decimal(18, 4)"]'),
    (Annotated[int, "u7"], "is int as 'u7', which no field is", '"u8"'),
    (Annotated[Decimal, "decimal(39, 1)"], "decimal(39, 1)", "decimal(18, 4)"),
    (Annotated[Decimal, "decimal(4, 5)"], "decimal(4, 5)", "decimal(18, 4)"),
    ("Nowhere", "an annotation that cannot be read: 'Nowhere'", "import its names"),
    (complex, "is complex, which no field is", "Optional if it may be missing"),
]


@pytest.mark.parametrize(("annotation", "message", "hint"), REFUSED)
def test_a_field_of_another_type_is_named_with_what_to_do(annotation, message, hint):
    cls = make_dataclass("Odd", [("fine", int), ("odd", annotation)])

    def odd(record):
        return record

    odd.__annotations__ = {"record": cls, "return": cls}
    odd.__qualname__ = odd.__name__ = "odd"
    with pytest.raises(OperatorError) as caught:
        python_operator("map", odd, {})
    assert "odd: " in caught.value.message and "field 'odd' of Odd" in caught.value.message
    assert message in caught.value.message and hint in caught.value.hint


def test_records_without_fields_and_batches_without_columns_are_refused():
    @dataclass
    class Empty:
        pass

    @dataclass
    class Computed:
        a: int = field(init=False, default=1)

    @dataclass
    class Row:
        a: int

    for cls, kind, message in [
        (Empty, "map", "Empty has no fields"),
        (Computed, "map", "field 'a' of .*Computed is no parameter"),
        (Row, "map_batch", "field 'a' of .*Row is int, and no column: write Column"),
        (dict, "map_batch", "has map_batch, which goes with records by field"),
    ]:

        def odd(record):
            return record

        odd.__annotations__ = {"record": cls, "return": cls}
        with pytest.raises(TypeError, match=message):
            description(getattr(sage_guest, kind)(odd))

    def half(record: dict, state: sage_guest.State) -> None: ...

    with pytest.raises(TypeError, match="has ports with the types of their records"):
        description(sage_guest.process(ports={"late": Row})(half))
    with pytest.raises(TypeError, match="has extends=True"):
        description(sage_guest.map(extends=True)(half))


def test_annotations_decide_between_fields_and_payloads():
    worlds = {
        "everything": "fields-map",
        "warm": "fields-filter",
        "letters": "fields-flat-map",
        "initial": "fields-key-by",
        "count": "fields-process",
        "made": "fields-source",
        "written": "fields-sink",
        "hotter": "fields-map",
        "long": "fields-filter",
        "numbered": "fields-process",
    }
    for name, world in worlds.items():
        operator = getattr(by_field, name)
        packed = python_operator(operator.kind, operator, {})
        assert packed.world == world, name
        assert "by_field=True" in packed._files["sage_operator.py"].decode()

    def to_json(reading: by_field.Reading) -> dict: ...
    def by_payload(reading: by_field.Reading) -> by_field.Reading: ...

    assert "reads" not in description(sage_guest.map(to_json))
    assert "reads" not in description(sage_guest.map(payload=True)(by_payload))
    assert "reads" in description(sage_guest.map(by_payload))


def test_a_description_has_docs_configuration_outputs_and_the_rest():
    made = description(by_field.count)
    assert [each["name"] for each in made["reads"]] == ["sensor", "celsius"]
    assert [each["name"] for each in made["gives"]] == ["sensor", "count"]
    assert made["ports"] == [{"name": "alerts", "gives": [{"name": "celsius", "type": "f64", "nullable": False}]}]
    assert made["config"] == {
        "type": "object",
        "properties": {"above": {"type": "number", "default": 30.0}},
        "required": [],
        "additionalProperties": False,
    }
    assert description(by_field.letters)["rest"] == "keep"
    assert description(by_field.everything)["docs"] == "Changes a value of each type."
    source = description(by_field.made)
    assert source["reads"] == [] and len(source["gives"]) == 2


def there_and_back(cls, records):
    """The records after they were written to columns and read again, with the rows that are bad."""
    record = record_of(cls)
    gives, reads, bad = _rows.Gives(record), _rows.Reads(record), {}
    columns = [[getattr(each, one.attribute) for each in records] for one in record.fields]
    table = gives.table(columns, [], len(records), bad)
    for one in table.fields + table.children:
        assert one.validity is None or len(one.validity) == (len(records) + 7) // 8 or one in table.children
    make = _rows.maker(reads)
    return [make(*values) for values in zip(*reads.columns(table))], bad


def everything(number):
    made = random.Random(number)
    return by_field.Everything(
        text=made.choice(["", "a", "läuft", "🦀"]),
        data=made.randbytes(made.randrange(4)),
        flag=made.random() < 0.5,
        whole=made.choice([-(2**63), 2**63 - 1, 0]),
        small=made.choice([0, 255]),
        tiny=made.choice([-128, 127]),
        number=made.choice([1e300, -0.0, 0.1, math.inf]),
        single=made.choice([0.5, -2.0]),
        at=datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=made.randrange(-6 * 10**16, 10**17)),
        day=date(1970, 1, 1) + timedelta(days=made.randrange(-700_000, 2_000_000)),
        price=Decimal(made.randrange(-(10**18) + 1, 10**18)).scaleb(-4),
        tree=made.choice([{"a": [1, None]}, [], "x", 1.5, True]),
        tags=[made.choice(["", "ß"]) for _ in range(made.randrange(3))],
        maybe=[made.choice([None, 7]) for _ in range(made.randrange(3))],
        place=by_field.Place(1.5, made.choice([None, 2.5])),
        nothing=made.choice([None, "", "x"]),
        missing=made.choice([None, by_field.Place(0.0)]),
        unit="C",
        renamed=2**32 - 1,
    )


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 200])
def test_values_of_every_type_survive_their_columns(rows):
    records = [everything(number) for number in range(rows)]
    read, bad = there_and_back(by_field.Everything, records)
    assert not bad and read == records


def test_a_value_of_another_type_costs_its_record_and_is_named():
    good = everything(1)
    wrong = {
        "text": [1, None, "\ud800"],
        "data": ["x"],
        "flag": [1],
        "whole": [2**63, 1.0, True],
        "small": [256, -1],
        "number": ["1", None, True],
        "at": [datetime(2026, 1, 1), date(2026, 1, 1), 5],
        "day": [datetime(2026, 1, 1, tzinfo=timezone.utc)],
        "price": [Decimal("0.00001"), Decimal("NaN"), Decimal(10) ** 14, 1.5],
        "tree": [{1, 2}, object()],
        "tags": ["abc", [1], [None], None],
        "maybe": [["x"]],
        "place": [by_field.Place("north"), {"lat": 1}, None],
    }
    records, names = [good], [None]
    for name, values in wrong.items():
        for value in values:
            odd = everything(2)
            setattr(odd, name, value)
            records += [odd, good]
            names += [name, None]
    read, bad = there_and_back(by_field.Everything, records)
    assert sorted(bad) == [row for row, name in enumerate(names) if name]
    for row, reason in bad.items():
        assert f"Error: field {names[row]!r} of Everything " in reason, (names[row], reason)
    assert any(
        "'place' of Everything has 'lat', which is 'north', and a number is wanted" in why for why in bad.values()
    )
    assert all(one == good for one, name in zip(read, names) if name is None)


def test_a_default_stands_where_the_data_have_nothing():
    record = record_of(by_field.Everything)
    make = _rows.maker(_rows.Reads(record))
    raw = dict.fromkeys((one.attribute for one in record.fields), None)
    raw.update(text="t", data=b"", flag=True, whole=1, small=1, tiny=1, number=1.0, single=1.0, at=0, day=0)
    raw.update(price=0, tree="1", tags=[], maybe=[], place=(1.0, None))
    made = make(*raw.values())
    assert (made.unit, made.renamed, made.missing, made.place) == ("F", 7, None, by_field.Place(1.0))


def test_a_column_that_is_only_passed_on_is_not_written_again():
    reads = _rows.Reads(record_of(by_field.Reading))
    gives = _rows.Gives(record_of(by_field.Reading), reads)
    given = [["a" * 9, "b" * 9], [1.5, 2.5]]
    same = contract.fields.Values_Same
    table = gives.table([list(given[0]), [2.5, 1.5]], given, 2, {})
    assert table.fields[0].values == same(0) and table.fields[1].values != same(1)

    @dataclass
    class Maybe:
        sensor: Optional[str]

    reads, strict = _rows.Reads(record_of(Maybe)), make_dataclass("Strict", [("sensor", str)])
    bad = {}
    table = _rows.Gives(record_of(strict), reads).table([["a", None]], [["a", None]], 2, bad)
    assert table.fields[0].values != same(0) and "is None, and a text is wanted" in bad[1]


def test_bitmaps_have_the_least_significant_bit_first():
    for rows in range(40):
        flags = [random.Random(rows + place).random() < 0.5 for place in range(rows)]
        assert bits(bitmap(flags), rows) == flags and len(bitmap(flags)) == (rows + 7) // 8


def batch_of(function, records, config=None):
    """What a function on batches gives for these records: the columns, and the bad rows."""
    opened = type("Opened", (), {"call": staticmethod(function.function), "config": config})()
    fields = sage_guest._described.fields_of(function)
    reads = _rows.Reads(fields.reads)
    columns = _batches.Columns(reads)
    raw = [list(column) for column in zip(*records)]
    bad = {}

    def work(part, rows, bad):
        return _batches._values(opened.call(columns.of(part, bad)), _rows.Gives(fields.gives), rows)

    answers = _batches._in_parts(work, raw, len(records), bad)
    return answers, bad


def test_an_error_in_a_batch_costs_the_record_that_makes_it():
    records = [("a", 2.0), ("b", 0.0), ("c", -300.0), ("d", 4.0), ("e", 0.0)]
    columns, bad = batch_of(by_field.hotter, records)
    assert bad[2] == "colder than anything"
    assert sorted(bad) == [1, 2, 4] and "ZeroDivisionError" in bad[1] and "by_field.py:" in bad[1]
    assert [value for row, value in enumerate(columns[1]) if row not in bad] == [0.5, 0.25]


def test_functions_on_batches_stay_functions():
    batch = by_field.Readings(["a", "b"], array.array("d", [2.0, -300.0]))
    assert by_field.hotter(batch).celsius == [0.5, 1 / -300]
    assert sage_guest.rejected_rows() == {1: "colder than anything"}
    states = [sage_guest.State(b"a"), sage_guest.State(b"b", 4)]
    assert by_field.numbered(batch, states).columns == by_field.Counts([1, 5])


def test_columns_of_another_length_are_refused():
    for given in ([1.0], [1.0, 2.0, 3.0]):

        @sage_guest.map_batch
        def short(batch: by_field.Readings) -> by_field.Readings:
            return by_field.Readings(batch.sensor, given)

        with pytest.raises(
            RuntimeError, match="column 'celsius' of Readings has . values, and the batch has 2 records"
        ):
            batch_of(short, [("a", 1.0), ("b", 2.0)])


def test_iterators_and_unions_name_the_class_of_an_output():
    def gives(annotation):
        def function(record: by_field.Reading, state: sage_guest.State): ...

        function.__annotations__["return"] = annotation
        found = sage_guest._described.fields_of(sage_guest.process(ports={"late": by_field.Alert})(function))
        return None if found is None or found.gives is None else found.gives.cls

    count, to = by_field.Count, sage_guest.To[by_field.Alert]
    for annotation in (count, Optional[count], Iterator[count], list[Union[count, to]], Iterator[count | to | None]):
        assert gives(annotation) is count
    assert gives(Iterator[to]) is None and gives(None) is None


def test_text_columns_are_decoded_when_they_are_asked_for():
    column = contract.Column([0, 1, 3], b"aB\xc3")
    lazy = sage_guest._columns.Texts(column)
    assert len(lazy) == 2
    with pytest.raises(UnicodeDecodeError):
        list(lazy)
    lazy = sage_guest._columns.Texts(contract.Column([0, 1, 3], "aß".encode()))
    assert list(lazy) == ["a", "ß"] and lazy[1] == "ß" and lazy[:1] == ["a"] and lazy == ["a", "ß"]
