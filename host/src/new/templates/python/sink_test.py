from {{ident}} import Config, append, durable, opened


def test_records_are_appended(tmp_path):
    config = Config(str(tmp_path / "received.jsonl"))
    opened(config)
    append(b"{}", config)
    durable()
    assert (tmp_path / "received.jsonl").read_bytes() == b"{}\n"
