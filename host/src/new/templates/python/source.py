"""Makes the Fibonacci numbers up to a configured one."""

from dataclasses import dataclass

from sage_guest import source


@dataclass
class Config:
    up_to: int


@source
def fibonacci(config: Config):
    """The records. After a restart the host runs this again and leaves out what it has."""
    number, following = 0, 1
    while number <= config.up_to:
        yield number
        number, following = following, number + following
