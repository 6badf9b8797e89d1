import pytest
from sage_guest import Reject
from {{ident}} import Celsius, Reading, to_celsius


def test_water_freezes_at_zero():
    assert to_celsius(Reading("KJFK", 32.0)) == Celsius("KJFK", 0.0)


def test_a_record_that_makes_no_sense_is_rejected():
    with pytest.raises(Reject, match="colder than anything"):
        to_celsius(Reading("KLGA", -500.0))
