"""Lets through the readings of at least a configured temperature."""

from dataclasses import dataclass

from sage_guest import filter


@dataclass
class Reading:
    fahrenheit: float


@dataclass
class Config:
    at_least: float


@filter
def warm(reading: Reading, config: Config) -> bool:
    """One record in, the same record or no record out. The record keeps its other fields."""
    return reading.fahrenheit >= config.at_least
