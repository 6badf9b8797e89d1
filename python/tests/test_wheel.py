"""The wheel, installed into a fresh environment: the program runs from it, and so does the API."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

HERE = pathlib.Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.wheel

SCRIPT = """
import sys
from sage_host import LocalEnvironment, Wasm
from sage_host.program import find_program
out = []
env = LocalEnvironment("wheel")
env.from_batch([{"sensor": "a", "fahrenheit": 50}]).map(Wasm(sys.argv[1])).sink(out)
summary = env.execute()
print(find_program(), out, summary.outcome)
"""


def test_the_wheel_has_the_program_and_the_packages(program, component, tmp_path):
    subprocess.run([sys.executable, HERE / "wheel.py", program, tmp_path], check=True)
    (wheel,) = tmp_path.glob("sage_host-*-py3-none-manylinux_2_*_x86_64.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("sage_host/py.typed", "sage_guest/py.typed", "sage_host/wit/mapping.wit"):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or "test" in name]
    again = tmp_path / "again"
    subprocess.run([sys.executable, HERE / "wheel.py", program, again], check=True)
    assert (again / wheel.name).read_bytes() == wheel.read_bytes(), "equal input makes an equal wheel"

    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    pip = [fresh / "bin" / "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True)
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SAGE_HOST_PROGRAM")}
    clean["PATH"] = "/usr/bin:/bin"

    def run(*command):
        ended = subprocess.run(command, capture_output=True, text=True, env=clean, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert "sage-host 0.1.0" in run(fresh / "bin" / "sage-host", "--version")
    said = run(fresh / "bin" / "python", "-c", SCRIPT, component("json_celsius"))
    assert said.split() == [str(fresh / "bin" / "sage-host"), *"[{'sensor': 'a', 'celsius': 10.0}] completed".split()]
    # A folder that is no environment: pip install --target.
    target = tmp_path / "target"
    subprocess.run([*pip[:-1], "--target", target, wheel], check=True)
    clean["PYTHONPATH"] = str(target)
    said = run(sys.executable, "-c", SCRIPT, component("json_celsius"))
    assert said.split()[0] == str(target / "bin" / "sage-host")
    # Nothing stays after it is removed.
    subprocess.run([fresh / "bin" / "pip", "uninstall", "--quiet", "--yes", "sage-host"], check=True)
    assert not (fresh / "bin" / "sage-host").exists()
