"""Operators as an author writes them, each with something that a test looks for. The pipeline around them is in the tests."""

import json  # noqa: F401  (an import that no operator needs stays out of their components)
import math
from dataclasses import dataclass

import numpy  # noqa: F401  (native code: only an operator that uses it is refused)
from beside import LOWEST

from sage_guest import (
    Reject,
    State,
    To,
    current_input,
    entries,
    filter,
    flat_map,
    key_by,
    log,
    map,
    metrics,
    process,
    sink,
    source,
)
from sage_host import LocalEnvironment

env = LocalEnvironment("authored")
SCALE = 1.8


@dataclass
class Config:
    offset: float = 0.0
    fail_in_open: bool = False


@dataclass
class Reading:
    sensor: str
    fahrenheit: float


@dataclass
class Celsius:
    sensor: str
    celsius: float


def first(config: Config) -> None:
    if config.fail_in_open:
        raise ValueError("offset 666 is not allowed")


@map(open=first, payload=True)
def to_celsius(reading: Reading, config: Config) -> Celsius:
    celsius = (reading.fahrenheit - 32) / SCALE + config.offset
    if celsius < LOWEST:
        raise Reject(f"{celsius:.2f} °C is below absolute zero")
    if math.isinf(celsius):
        print("an infinite reading of", reading.sensor)
        raise MemoryError("this one is not of the record")
    metrics.counter("converted")
    log.warn(f"converted {reading.sensor}")
    return Celsius(reading.sensor, round(celsius, 2))


@filter
def is_long(line: str) -> bool:
    return len(line) > 3


@flat_map
def words(line: str):
    return line.split()


@key_by
def initial(word: str) -> str:
    return word[0]


def totals():
    for key, count in entries("counts"):
        yield {"key": key.decode(), "total": count["n"]}


@process(table="counts", ports=["seen"], end=totals)
def count(word: str, state: State):
    counts = state.value = state.value or {"n": 0}
    counts["n"] += 1
    if word.endswith("!"):
        # The state that was changed above is undone with the record.
        raise Reject(f"{word} shouts")
    if current_input() == "again":
        yield To("seen", f"{word} again")
    elif counts["n"] > 1:
        yield To("seen", word)


@source
def numbers(config):
    for number in range(config["count"]):
        yield {"number": number}


@sink
def file(record: dict, config: dict) -> None:
    if record["number"] == 13:
        raise Reject("13 is not written")
    with open(f"{config['folder']}/numbers.txt", "a") as out:
        out.write(f"{record['number']}\n")


class Doubled:
    def __init__(self):
        self.factor = 2

    def map(self, record):
        return record * self.factor


@dataclass
class Scaled:
    factor: int
    names: tuple = ()

    def open(self) -> None:
        self.offset = len(self.names)

    def map(self, record: dict) -> dict:
        return {"n": record["n"] * self.factor + self.offset}


@dataclass
class Holds:
    live: object

    def map(self, record):
        return record


def embeds(record):
    return numpy.array(record).tolist()


def dials(record):
    import ssl

    return ssl.OPENSSL_VERSION


def rounds(record):
    import decimal

    return str(decimal.Decimal(record).quantize(decimal.Decimal(1)))


def uses_the_environment(record):
    return env.name


def takes_three(a, b, c):
    return a


def returns_a_function():
    live = open(__file__)

    def reads(record):
        return live.read()

    live.close()
    return reads
