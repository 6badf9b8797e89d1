"""Turns readings in Fahrenheit into readings in Celsius."""

from dataclasses import dataclass

from sage_guest import Reject, map


@dataclass
class Reading:
    station: str
    fahrenheit: float


@dataclass
class Celsius:
    station: str
    celsius: float


@map
def to_celsius(reading: Reading) -> Celsius:
    """One record in, one record out. The host reads and prints the fields of the classes. `Reject` costs this record
    only; `on_error` in the pipeline file decides what becomes of it."""
    if reading.fahrenheit < -459.67:
        raise Reject(f"{reading.fahrenheit} °F is colder than anything")
    return Celsius(reading.station, round((reading.fahrenheit - 32) / 1.8, 1))
