"""Streaming pipelines of sandboxed operators, described in Python: each parallel instance gets the CPU, memory and devices
that its author asked for, enforced, or the pipeline does not start.

    from sage_host import LocalEnvironment, Wasm

    env = LocalEnvironment("readings")
    (env.from_file("readings.jsonl", format="jsonl")
        .map(Wasm("celsius.wasm"), parallelism=2, resources={"num_cpus": 0.5, "memory": "64MiB"})
        .sink("celsius.jsonl"))
    print(env.explain())
    env.execute()

:class:`LocalEnvironment` runs the program ``sage-host`` on this machine, and :class:`RemoteEnvironment` sends the pipeline
to ``sage-host serve``. An operator is a component (:class:`Wasm`) or a Python function or class (``sage_guest``).
"""

from .component import Wasm
from .environment import Environment
from .errors import (
    GraphError,
    Interrupted,
    InvalidPipeline,
    OperatorError,
    PipelineFailed,
    ProgramError,
    Refused,
    ResourceError,
    SageHostError,
    ServerError,
)
from .job import Job, JobStatus, LogLine
from .local import LocalEnvironment
from .packing import PythonOperator
from .remote import RemoteEnvironment
from .report import Report, Row
from .resources import Resources
from .stream import Inputs, Stream
from .summary import Summary

__version__ = "0.1.0"

__all__ = [
    "Environment",
    "GraphError",
    "Inputs",
    "Interrupted",
    "InvalidPipeline",
    "Job",
    "JobStatus",
    "LocalEnvironment",
    "LogLine",
    "OperatorError",
    "PipelineFailed",
    "ProgramError",
    "PythonOperator",
    "Refused",
    "RemoteEnvironment",
    "Report",
    "ResourceError",
    "Resources",
    "Row",
    "SageHostError",
    "ServerError",
    "Stream",
    "Summary",
    "Wasm",
]
