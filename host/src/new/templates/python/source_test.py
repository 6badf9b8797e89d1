from {{ident}} import Config, fibonacci


def test_each_number_is_the_sum_of_the_two_before_it():
    assert list(fibonacci(Config(up_to=10))) == [0, 1, 1, 2, 3, 5, 8]
