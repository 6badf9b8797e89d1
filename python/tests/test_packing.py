"""What goes into a component, and what is refused with what to do instead. Nothing is made here, so these tests are fast."""

import pathlib
import sys
import tomllib

import authored
import pytest

import sage_guest
import sage_host
from sage_host import LocalEnvironment, OperatorError, Wasm
from sage_host.operator_source import part_of
from sage_host.packing import python_operator

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_only_what_an_operator_needs_goes_into_its_component_on_the_lines_where_it_is():
    operator = python_operator("map", authored.to_celsius, {})
    text = operator._files["authored.py"].decode()
    source = pathlib.Path(authored.__file__).read_text().splitlines()
    kept = text.splitlines()
    assert len(kept) == source.index("    return Celsius(reading.sensor, round(celsius, 2))") + 1
    assert all(line in ("", source[number]) for number, line in enumerate(kept))
    assert "SCALE = 1.8" in kept and "class Config:" in kept and "from beside import LOWEST" in kept
    for absent in ("numpy", "LocalEnvironment", "def count", "import json"):
        assert absent not in text
    assert operator._files["beside.py"] == (ROOT / "python/tests/beside.py").read_bytes()
    assert "sage_guest/_component.py" in operator._files
    assert operator.stage_name == "to_celsius" and operator.digest[:32] in operator.path


def test_a_change_elsewhere_in_the_file_makes_no_new_component(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest(text):
        (tmp_path / "changing.py").write_text(text)
        sys.modules.pop("changing", None)
        import changing

        return python_operator("map", changing.f, {}).digest

    text = "SCALE = 2\n\ndef f(record):\n    return record * SCALE\n\nprint('other', end='')\n"
    assert digest(text) == digest(text.replace("'other'", "'others'"))
    assert digest(text) != digest(text.replace("SCALE = 2", "SCALE = 3"))


def test_classes_have_their_fields_as_configuration():
    assert python_operator("map", authored.Scaled(3, ("a", "b")), {}).config == {"factor": 3, "names": ("a", "b")}
    assert python_operator("map", authored.Doubled, {}).config == {}
    env = LocalEnvironment()
    env.from_batch([]).map(authored.Scaled(3), config={"factor": 4}, parallelism=2).discard()
    assert "config = { factor = 4, names = [] }" in env.to_toml()


REFUSED = [
    ("map", lambda record: record, "a lambda cannot become an operator", "def"),
    ("map", authored.returns_a_function(), "is inside of a function, and it holds live", "config="),
    ("map", authored.embeds, r"imports numpy \(authored.py:\d+\), which has native code", "models=["),
    ("map", authored.dials, r"imports ssl \(authored.py:\d+\), which a component does not have", "this process"),
    ("map", authored.uses_the_environment, "uses 'LocalEnvironment', which imports sage_host", "config="),
    ("map", authored.Doubled().map, "is a method of an object of this program", "dataclass"),
    ("map", authored.Doubled(), "holds factor, and cannot be sent", "@dataclass"),
    ("map", authored.Holds(object()), "field 'live' of Holds", "texts, numbers"),
    ("map", len, "is no map operator", "a function of a module"),
    ("map", "celsius.wasm", "is no map operator", 'Wasm("x.wasm")'),
    ("filter", authored.to_celsius, "is a map operator, and filter", ".map(to_celsius)"),
    ("map", authored.takes_three, "takes_three takes 3 parameters", ""),
]


@pytest.mark.parametrize(("kind", "written", "message", "hint"), REFUSED)
def test_what_cannot_become_a_component_is_named_with_what_to_do_instead(kind, written, message, hint):
    with pytest.raises(OperatorError, match=message) as caught:
        python_operator(kind, written, {})
    assert hint in (caught.value.hint or "")


def test_side_outputs_are_known_before_a_component_is_made():
    env = LocalEnvironment()
    counted = env.from_batch([]).key_by("word").process(authored.count)
    assert counted.side("seen").edge == "count.seen"
    with pytest.raises(Exception, match="has no side output 'sen': it has seen"):
        counted.side("sen")


def test_statements_that_fill_a_table_stay_and_others_go():
    text = (
        "import math\n"
        "TABLE = {}\n"
        "TABLE['a'] = math.pi\n"
        "for key in 'bc':\n"
        "    TABLE[key] = 1\n"
        "try:\n"
        "    import tomllib as toml\n"
        "except ImportError:\n"
        "    toml = None\n"
        "def helper(x): return TABLE[x]\n"
        "async def unused(): pass\n"
        "def f(x): return helper(x), toml\n"
        "if __name__ == '__main__':\n"
        "    f(1)\n"
    )
    part = part_of(text, "f")
    assert part.text == text.replace("async def unused(): pass", "").split("if __name__")[0]
    assert {found.module for found in part.imports} == {"math", "tomllib"}


def test_functions_stay_functions():
    reading = authored.Reading("a", 50.0)
    assert authored.to_celsius(reading, authored.Config()) == authored.Celsius("a", 10.0)
    assert authored.is_long("long") and authored.words("a b") == ["a", "b"] and authored.initial("xy") == "x"
    state = sage_guest.State(b"w", {"n": 1})
    assert [output.record for output in authored.count("word", state)] == ["word"] and state.value == {"n": 2}
    with pytest.raises(sage_guest.Reject, match="shouts"):
        list(authored.count("word!", state))


@pytest.mark.parametrize("folder", ["python/src/sage_host/wit", "guest-sdk/wit"])
def test_the_contract_is_the_same_everywhere(folder):
    original = {path.name: path.read_text() for path in (ROOT / "wit").glob("*.wit")}
    assert {path.name: path.read_text() for path in (ROOT / folder).glob("*.wit")} == original
    assert "mapping.wit" in original


def test_modules_that_functions_import_are_imported_when_the_component_is_made():
    app = python_operator("map", authored.rounds, {})._files["sage_operator.py"].decode()
    assert app.startswith("try:\n    import decimal\nexcept ImportError:\n    pass\n")


def test_the_version_is_the_one_of_the_program():
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    project = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]["version"]
    assert sage_host.__version__ == project == cargo


def test_a_component_is_taken_as_it_is():
    assert repr(Wasm("a.wasm", config={"x": 1})) == "Wasm('a.wasm', config={'x': 1})"
    with pytest.raises(ValueError, match="the path of a component is empty"):
        Wasm("")
