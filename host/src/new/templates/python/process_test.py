from {{ident}} import count
from sage_guest import State


def test_records_are_counted():
    state = State(b"a")
    for record in (b"x", b"y"):
        count(record, state)
    assert state.value == 2
