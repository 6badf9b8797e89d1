from {{ident}} import Config, Reading, warm


def test_warm_readings_stay():
    assert warm(Reading(41.0), Config(40.0))
    assert not warm(Reading(39.2), Config(40.0))
