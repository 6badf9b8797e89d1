from {{ident}} import station


def test_the_station_is_the_key():
    assert station({"station": "KJFK", "fahrenheit": 41.0}) == "KJFK"
