from {{ident}} import Config, warm


def test_warm_readings_stay():
    assert warm({"fahrenheit": 41.0}, Config(40.0))
    assert not warm({"fahrenheit": 39.2}, Config(40.0))
