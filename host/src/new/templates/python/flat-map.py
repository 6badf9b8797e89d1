"""Splits lines into words."""

from sage_guest import flat_map


@flat_map
def words(line: str):
    """One record in, any number of records out. The annotation says that a record is text, and not JSON."""
    return line.split()
