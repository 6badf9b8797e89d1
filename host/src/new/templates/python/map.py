"""Turns readings in Fahrenheit into readings in Celsius."""

from dataclasses import dataclass

from sage_guest import Reject, map


@dataclass
class Reading:
    station: str
    fahrenheit: float


@map
def to_celsius(reading: Reading) -> dict:
    """One record in, one record out. `Reject` costs this record only; `on_error` in the pipeline file decides what
    becomes of it."""
    if reading.fahrenheit < -459.67:
        raise Reject(f"{reading.fahrenheit} °F is colder than anything")
    return {"station": reading.station, "celsius": round((reading.fahrenheit - 32) / 1.8, 1)}
