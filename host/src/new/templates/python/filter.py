"""Lets through the readings of at least a configured temperature."""

from dataclasses import dataclass

from sage_guest import filter


@dataclass
class Config:
    at_least: float


@filter
def warm(reading: dict, config: Config) -> bool:
    """One record in, the same record or no record out. A record without the field is rejected."""
    return reading["fahrenheit"] >= config.at_least
