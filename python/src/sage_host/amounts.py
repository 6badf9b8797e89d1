"""Amounts and sizes, by Ray's rules and in the units of a pipeline file."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Union

from .errors import ResourceError

#: The largest amount of anything that is counted. No machine has more.
MOST = 10**11
#: The largest size: what the program counts in 64 bits.
MOST_BYTES = 2**63 - 1

_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
    "TB": 10**12,
    "TiB": 2**40,
    "PB": 10**15,
    "PiB": 2**50,
}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")

Amount = Union[int, float]
Size = Union[int, float, str]


def amount(key: str, place: str, value: object) -> Amount:
    """A number: whole, or a fraction below 1 in steps of 0.0001, as Ray counts.

    >>> amount("num_cpus", "operator 'a'", 0.25)
    0.25
    >>> amount("num_cpus", "operator 'a'", 2.0)
    2
    >>> amount("num_cpus", "operator 'a'", 1.5)
    Traceback (most recent call last):
    sage_host.errors.ResourceError: num_cpus of operator 'a' is 1.5
    hint: whole, or a fraction below 1: 1 or 2
    """
    limit = "whole, or a fraction below 1 in steps of 0.0001"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ResourceError(
            f"{key} of {place} is {value!r}, of type {type(value).__name__}",
            value=value,
            limit=limit,
            hint="write a number, such as 2 or 0.5",
        )

    def wrong(hint: str, limit: str = limit) -> ResourceError:
        return ResourceError(f"{key} of {place} is {value}", value=value, limit=limit, hint=hint)

    if not math.isfinite(value) or value < 0:
        raise wrong("it must be a number above 0")
    if value > MOST:
        raise wrong("no machine has as many", f"at most {MOST}")
    scaled = round(Decimal(str(value)) * 10_000, 8)
    if scaled != scaled.to_integral_value():
        raise wrong(limit)
    if value < 1:
        return 0 if value == 0 else value
    if value != int(value):
        raise wrong(f"whole, or a fraction below 1: {int(value)} or {int(value) + 1}")
    return int(value)


def size(key: str, place: str, value: object, least: int = 0) -> int:
    """A size in bytes: ``"8GB"`` is 10^9 each, ``"8GiB"`` is 2^30 each, and a number is bytes.

    >>> size("memory", "operator 'a'", "8GB"), size("memory", "operator 'a'", "1.5KiB")
    (8000000000, 1536)
    >>> size("memory", "operator 'a'", "8G")
    Traceback (most recent call last):
    sage_host.errors.ResourceError: memory of operator 'a' is '8G': unknown unit 'G'
    hint: write "8GB" (10^9 each) or "8GiB" (2^30 each)
    """
    limit = f"at least {least} bytes" if least else "a size"

    def wrong(why: str, hint: str, limit: str = limit) -> ResourceError:
        return ResourceError(f"{key} of {place} is {value!r}{why}", value=value, limit=limit, hint=hint)

    example = 'write a number of bytes, or a text such as "512MiB"'
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wrong(f", of type {type(value).__name__}", example)
    if isinstance(value, str):
        found = _SIZE.fullmatch(value)
        if found is None:
            raise wrong(", which does not begin with a plain number", example)
        number, unit = found.groups()
        if unit not in _UNITS:
            shown = f'"{number}{unit[0].upper()}B" (10^9 each) or "{number}{unit[0].upper()}iB" (2^30 each)'
            powers = {"k": ("10^3", "2^10"), "m": ("10^6", "2^20"), "t": ("10^12", "2^40"), "p": ("10^15", "2^50")}
            decimal, binary = powers.get(unit[0].lower(), ("10^9", "2^30"))
            if unit[0].lower() not in "kmgtp":
                raise wrong(f": unknown unit {unit!r}", "units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB")
            raise wrong(f": unknown unit {unit!r}", f"write {shown}".replace("10^9", decimal).replace("2^30", binary))
        try:
            exact = Decimal(number) * _UNITS[unit]
        except InvalidOperation:
            raise wrong(", which is too large", "no machine has as much") from None
    else:
        if not math.isfinite(value) or value < 0:
            raise wrong("", "it must be a number of bytes, 0 or above")
        exact = Decimal(str(value))
    if exact != exact.to_integral_value():
        raise wrong(", which is not a whole number of bytes", example)
    if exact > MOST_BYTES:
        raise wrong(", which is too large", "no machine has as much", f"at most {MOST_BYTES} bytes")
    if exact < least:
        raise wrong("", f"at least {least} bytes ({least // 1024}KiB)")
    return int(exact)


def count(key: str, place: str, value: object, least: int, most: int) -> int:
    """A whole number between two bounds.

    >>> count("parallelism", "operator 'a'", 0, 1, 1024)
    Traceback (most recent call last):
    sage_host.errors.ResourceError: parallelism of operator 'a' is 0
    hint: it is a whole number from 1 to 1024
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ResourceError(
            f"{key} of {place} is {value!r}",
            value=value,
            limit=f"{least} to {most}",
            hint=f"it is a whole number from {least} to {most}",
        )
    return value
