"""Appends records to a file in a folder that the pipeline grants it."""

import os
from dataclasses import dataclass

from sage_guest import log, sink


@dataclass
class Config:
    file: str


def opened(config: Config) -> None:
    """Called before the first record. What lasts is in the module."""
    global out
    log.info(f"writing to {config.file}")
    out = open(config.file, "ab")


def durable() -> None:
    """Called from time to time. Before it, a record may come again."""
    out.flush()
    os.fsync(out.fileno())


@sink(open=opened, flush=durable)
def append(record: bytes, config: Config) -> None:
    """Takes a record out of the pipeline."""
    out.write(record + b"\n")
