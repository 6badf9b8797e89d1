"""Counts the records of each key and tells the totals at the end of input."""

from sage_guest import State, entries, process


def totals():
    """Called when the input has ended: the records that it gives are the operator's last ones."""
    for key, records in entries("seen"):
        yield {"key": key.decode(), "records": records}


@process(table="seen", end=totals)
def count(record: bytes, state: State) -> None:
    """One record in, any records out. The host keeps the state of each key, also if this copy of the operator fails."""
    state.value = (state.value or 0) + 1
