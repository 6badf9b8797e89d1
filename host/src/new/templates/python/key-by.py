"""Keys readings by their station."""

from sage_guest import key_by


@key_by
def station(reading: dict) -> str:
    """The key of a record: text, bytes or a whole number."""
    return reading["station"]
