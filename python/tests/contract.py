"""Stand-ins for the classes that componentize-py generates from the contract, for tests of columns without a component."""

import dataclasses
import types


@dataclasses.dataclass
class Column:
    offsets: list
    bytes: bytes


@dataclasses.dataclass
class Field:
    values: object
    validity: object


@dataclasses.dataclass
class Table:
    rows: int
    fields: list
    children: list


CASES = ("Same", "Bools", "Decimals", "Strings", "Lists", "Structs", "Float32s", "Float64s") + tuple(
    f"{sign}{bits}s" for sign in ("Int", "Uint") for bits in (8, 16, 32, 64)
)
fields = types.SimpleNamespace(
    Field=Field,
    Table=Table,
    **{f"Values_{case}": dataclasses.make_dataclass(f"Values_{case}", ["value"]) for case in CASES},
)
