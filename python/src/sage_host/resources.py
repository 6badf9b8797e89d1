"""``resources = {...}`` beside ``parallelism``: the words are Ray's, and each instance gets these amounts."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Mapping, Optional, TypedDict

from .amounts import Amount, Size, amount, size
from .errors import ResourceError

#: One page of WebAssembly memory, and the size of one batch: the least that the program takes.
LEAST_BYTES = 64 * 1024

KEYS = ("num_cpus", "memory", "num_gpus", "object_store_memory", "resources")
_TAKEN = (*KEYS, "CPU", "GPU")


class Resources(TypedDict, total=False):
    """The keys of ``resources``."""

    num_cpus: Amount
    memory: Size
    num_gpus: Amount
    object_store_memory: Size
    resources: Mapping[str, Amount]


def checked(place: str, written: object, *, is_source: bool = False) -> Dict[str, Any]:
    """The resources of one instance as a pipeline file has them, or a :class:`ResourceError`.

    >>> checked("operator 'a'", {"num_cpus": 4, "memory": "8GB"})
    {'num_cpus': 4, 'memory': '8GB'}
    >>> checked("operator 'a'", {"num_cpu": 4})
    Traceback (most recent call last):
    sage_host.errors.ResourceError: unknown resource 'num_cpu' in resources of operator 'a'
    hint: did you mean "num_cpus"? The keys are num_cpus, memory, num_gpus, object_store_memory, resources
    """
    if written is None:
        return {}
    if not isinstance(written, Mapping):
        raise ResourceError(
            f"resources of {place} is {written!r}, of type {type(written).__name__}",
            value=written,
            limit="a dict",
            hint='write {"num_cpus": 2, "memory": "1GiB"}',
        )
    made: Dict[str, Any] = {}
    for key, value in written.items():
        if key in ("num_cpus", "num_gpus"):
            number = amount(key, place, value)
            if number == 0 and key == "num_cpus":
                raise ResourceError(
                    f"num_cpus of {place} is 0",
                    value=value,
                    limit="above 0",
                    hint="leave it out to share the CPUs that are not leased",
                )
            if number != 0:
                made[key] = number
        elif key == "memory":
            made[key] = _size(key, place, value)
        elif key == "object_store_memory":
            if is_source:
                raise ResourceError(
                    f"object_store_memory of {place}: a source has no input that it could bound",
                    value=value,
                    limit="not of a source",
                    hint="set it on the stage that receives the records",
                )
            made[key] = _size(key, place, value)
        elif key == "resources":
            custom = _custom(place, value)
            if custom:
                made[key] = custom
        else:
            raise _unknown(key, place, value)
    return made


def _size(key: str, place: str, value: object) -> Size:
    """A size that was checked, as it was written."""
    checked_bytes = size(key, place, value, LEAST_BYTES)
    return "".join(value.split()) if isinstance(value, str) else checked_bytes


def _custom(place: str, value: object) -> Dict[str, Amount]:
    if not isinstance(value, Mapping):
        raise ResourceError(
            f"resources in resources of {place} is {value!r}, of type {type(value).__name__}",
            value=value,
            limit="a dict of amounts by name",
            hint='write {"resources": {"licence": 1}}',
        )
    made: Dict[str, Amount] = {}
    for name, number in value.items():
        if not isinstance(name, str) or not name:
            raise ResourceError(
                f"the name of a custom resource of {place} is {name!r}",
                value=name,
                limit="a text",
                hint='write {"resources": {"licence": 1}}',
            )
        if name in _TAKEN:
            raise ResourceError(
                f"custom resource {name!r} of {place} is a resource with a name of its own",
                value=number,
                limit="other names",
                hint='write {"num_cpus": 2, "resources": {"licence": 1}}',
            )
        found = amount(name, place, number)
        if found != 0:
            made[name] = found
    return made


def _unknown(key: object, place: str, value: object) -> ResourceError:
    near: Optional[str] = next(iter(difflib.get_close_matches(str(key), KEYS, 1)), None)
    known = f"the keys are {', '.join(KEYS)}"
    if near is not None:
        hint = f'did you mean "{near}"? T{known[1:]}'
    else:
        hint = f'{known}; a name of yours goes into "resources": {{"resources": {{"{key}": 1}}}}'
    return ResourceError(
        f"unknown resource {key!r} in resources of {place}", value=value, limit=", ".join(KEYS), hint=hint
    )
