"""A notebook, run by nbclient: the report of the limits and the summary are tables."""

import os
import pathlib
import re

import nbformat
from nbclient import NotebookClient

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "src"

CELLS = [
    "from dataclasses import dataclass\nfrom sage_host import LocalEnvironment, Wasm",
    "@dataclass\nclass Reading:\n    sensor: str\n    fahrenheit: float",
    "env, out = LocalEnvironment('notebook'), []\n"
    "readings = (Reading(f's{n}', 32 + 1.8 * n) for n in range(100))\n"
    "(env.from_source(readings, schema=Reading)\n"
    "    .map(Wasm(COMPONENT), name='celsius', parallelism=2, resources={'num_cpus': 0.2, 'memory': '32MiB'})\n"
    "    .sink(out, format='arrow'))",
    "env.explain()",
    "env.execute()",
    "sorted(celsius for batch in out for celsius in batch.column('celsius').to_pylist())[:3]",
]


def test_a_notebook_shows_the_report_and_the_summary_as_tables(inside, component, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCES), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.v4.new_notebook()
    first = f"COMPONENT = {component('celsius')!r}"
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in [first, *CELLS]]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()

    def shown(at, kind):
        (output,) = [each for each in notebook.cells[at].outputs if each.output_type == "execute_result"]
        return output.data[kind]

    report = shown(-3, "text/html")
    assert "<table>" in report and "<td>celsius</td>" in report
    assert re.search("memory.*32MiB.*hard", re.sub("<[^>]*>|\n", " ", report))
    summary = shown(-2, "text/html")
    assert "<table>" in summary and "celsius" in summary
    assert shown(-1, "text/plain") == "[0.0, 1.0, 2.0]"
