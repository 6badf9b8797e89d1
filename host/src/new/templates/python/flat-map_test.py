from {{ident}} import words


def test_a_line_becomes_its_words():
    assert words("the quick  brown") == ["the", "quick", "brown"]
    assert words("") == []
