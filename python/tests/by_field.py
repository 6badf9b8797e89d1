"""Operators by field of every kind, as an author writes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Optional

from sage_guest import (
    Column,
    Emit,
    Reject,
    State,
    To,
    entries,
    filter,
    filter_batch,
    flat_map,
    key_by,
    map,
    map_batch,
    process,
    process_batch,
    reject_row,
    sink,
    source,
)


@dataclass
class Place:
    lat: float
    lon: Optional[float] = None


@dataclass
class Everything:
    """One field of each type."""

    text: str
    data: bytes
    flag: bool
    whole: int
    small: Annotated[int, "u8"]
    tiny: Annotated[int, "s8"]
    number: float
    single: Annotated[float, "f32"]
    at: datetime
    day: date
    price: Annotated[Decimal, "decimal(18, 4)"]
    tree: Any
    tags: list[str]
    maybe: list[Optional[int]]
    place: Place
    nothing: Optional[str]
    missing: Optional[Place] = None
    unit: str = "F"
    renamed: Annotated[int, "u32"] = field(default=7, metadata={"name": "a b", "docs": "Has a name of its own."})


@map
def everything(record: Everything) -> Everything:
    """Changes a value of each type."""
    if record.text == "reject":
        raise Reject("asked for")
    if record.text == "wrong":
        record.place = Place("north")  # type: ignore[arg-type]
        return record
    return Everything(
        record.text + "ß",
        record.data + b"\0",
        not record.flag,
        record.whole - 1,
        record.small + 1,
        -record.tiny,
        record.number / 2,
        record.single,
        record.at + timedelta(microseconds=1),
        record.day + timedelta(days=1),
        record.price + Decimal("0.0001"),
        {"was": record.tree},
        [tag.upper() for tag in record.tags],
        [*record.maybe, None],
        Place(-record.place.lat, record.place.lat),
        record.nothing,
        record.missing,
        record.unit,
        record.renamed,
    )


@dataclass
class Reading:
    sensor: str
    celsius: float


@dataclass
class Count:
    sensor: str
    count: int


@dataclass
class Alert:
    celsius: float


@dataclass
class Limit:
    above: float = 30.0


@filter
def warm(reading: Reading, limit: Limit) -> bool:
    return 1 / reading.celsius < 1 / limit.above


@flat_map(extends=True)
def letters(reading: Reading) -> Iterator[Count]:
    for number, letter in enumerate(reading.sensor):
        if letter == "!":
            raise Reject("no shouting")
        yield Count(letter, number)


@key_by
def initial(reading: Reading) -> str:
    return reading.sensor[0]


def counted() -> Iterator[Count]:
    for key, count in entries("counts"):
        yield Count(key.decode(), count)


@process(table="counts", ports={"alerts": Alert}, end=counted)
def count(reading: Reading, state: State[int], limit: Limit) -> Iterator["Count | To[Alert]"]:
    state.value = (state.value or 0) + 1
    if reading.celsius > limit.above:
        yield To("alerts", Alert(reading.celsius))
    if reading.celsius < -273.15:
        raise Reject("colder than anything")
    yield Count(reading.sensor, state.value)


@source
def made(config: dict[str, int]) -> Iterator[Reading]:
    for number in range(config["count"]):
        yield Reading(f"s{number}", number / 2)


@sink
def written(reading: Reading, config: dict[str, str]) -> None:
    if reading.celsius == 6.5:
        raise Reject("6.5 is not written")
    with open(f"{config['folder']}/readings.txt", "a") as out:
        out.write(f"{reading.sensor} {reading.celsius}\n")


@dataclass
class Readings:
    sensor: Column[str]
    celsius: Column[float]


@dataclass
class Hotter:
    sensor: Column[str]
    celsius: Column[float]
    place: Column[int]


@map_batch
def hotter(batch: Readings) -> Hotter:
    for row, celsius in enumerate(batch.celsius):
        if celsius < -273.15:
            reject_row(row, "colder than anything")
    inverse = [1 / celsius for celsius in batch.celsius]
    return Hotter(batch.sensor, inverse, range(len(batch.sensor)))


@filter_batch
def long(batch: Readings, config: dict[str, int]) -> list[bool]:
    return [len(sensor) > config["least"] for sensor in batch.sensor]


@dataclass
class Counts:
    count: Column[int]


@process_batch(table="counts", extends=True)
def numbered(batch: Readings, states: list[State[int]]) -> Emit[Counts]:
    numbers = []
    for state in states:
        state.value = (state.value or 0) + 1
        numbers.append(state.value)
    return Emit(Counts(numbers), parents=range(len(numbers)))
