"""`resources` by Ray's rules: what is taken, and what is refused where it is written."""

import pytest

from sage_host import LocalEnvironment, ResourceError, Wasm
from sage_host.resources import checked

TAKEN = [
    ({}, {}),
    (None, {}),
    ({"num_cpus": 4, "memory": "8GB"}, {"num_cpus": 4, "memory": "8GB"}),
    ({"memory": " 8 GiB "}, {"memory": "8GiB"}),
    ({"memory": 65536}, {"memory": 65536}),
    ({"memory": 65536.0}, {"memory": 65536}),
    ({"memory": "1.5MiB"}, {"memory": "1.5MiB"}),
    ({"num_cpus": 0.0001}, {"num_cpus": 0.0001}),
    ({"num_cpus": 0.3}, {"num_cpus": 0.3}),
    ({"num_cpus": 2.0}, {"num_cpus": 2}),
    ({"num_gpus": 0}, {}),
    ({"num_gpus": 0.5}, {"num_gpus": 0.5}),
    ({"object_store_memory": "64KiB"}, {"object_store_memory": "64KiB"}),
    ({"resources": {"licence": 1, "seat": 0}}, {"resources": {"licence": 1}}),
]


@pytest.mark.parametrize(("written", "made"), TAKEN)
def test_amounts_and_sizes_become_what_the_pipeline_file_has(written, made):
    assert checked("operator 'a'", written) == made


REFUSED = [
    ({"num_cpus": 1.5}, "num_cpus of operator 'a' is 1.5", "1 or 2"),
    ({"num_cpus": 0}, "num_cpus of operator 'a' is 0", "leave it out"),
    ({"num_cpus": -1}, "is -1", "above 0"),
    ({"num_cpus": 0.00001}, "is 1e-05", "steps of 0.0001"),
    ({"num_cpus": float("nan")}, "is nan", "above 0"),
    ({"num_cpus": float("inf")}, "is inf", "above 0"),
    ({"num_cpus": 10**12}, "is 1000000000000", "no machine"),
    ({"num_cpus": True}, "of type bool", "a number"),
    ({"num_cpus": "4"}, "of type str", "a number"),
    ({"num_gpus": 1.5}, "num_gpus of operator 'a' is 1.5", "1 or 2"),
    ({"memory": "8G"}, "unknown unit 'G'", '"8GB" (10^9 each) or "8GiB" (2^30 each)'),
    ({"memory": "8mb"}, "unknown unit 'mb'", '"8MB" (10^6 each)'),
    ({"memory": "8 elephants"}, "unknown unit 'elephants'", "units are"),
    ({"memory": "GB"}, "does not begin with a plain number", "512MiB"),
    ({"memory": -1}, "is -1", "0 or above"),
    ({"memory": "0.5B"}, "not a whole number of bytes", "512MiB"),
    ({"memory": "1KiB"}, "memory of operator 'a' is '1KiB'", "at least 65536 bytes"),
    ({"memory": "99999999PB"}, "too large", "no machine"),
    ({"memory": ["1GB"]}, "of type list", "number of bytes"),
    ({"num_cpu": 1}, "unknown resource 'num_cpu'", 'did you mean "num_cpus"?'),
    ({"licence": 1}, "unknown resource 'licence'", '{"resources": {"licence": 1}}'),
    ({"resources": {"num_cpus": 1}}, "custom resource 'num_cpus'", "licence"),
    ({"resources": {"licence": "one"}}, "licence of operator 'a' is 'one'", "a number"),
    ({"resources": ["licence"]}, "of type list", "licence"),
    ({"resources": {1: 1}}, "the name of a custom resource", "licence"),
    ([("num_cpus", 1)], "of type list", "num_cpus"),
]


@pytest.mark.parametrize(("written", "message", "hint"), REFUSED)
def test_impossible_resources_are_refused_with_value_and_hint(written, message, hint):
    with pytest.raises(ResourceError) as caught:
        checked("operator 'a'", written)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.limit


def test_the_error_comes_from_the_line_that_has_the_value():
    stream = LocalEnvironment().from_file("x.jsonl")
    with pytest.raises(ResourceError, match="num_cpus of operator 'heavy' is 1.5"):
        stream.map(Wasm("heavy.wasm"), resources={"num_cpus": 1.5})
    with pytest.raises(ResourceError, match="parallelism of operator 'heavy' is 0"):
        stream.map(Wasm("heavy.wasm"), parallelism=0)
    with pytest.raises(ResourceError, match="parallelism of operator 'heavy' is True"):
        stream.map(Wasm("heavy.wasm"), parallelism=True)
    with pytest.raises(ResourceError, match="a source has no input"):
        LocalEnvironment().from_source(Wasm("s.wasm"), resources={"object_store_memory": "1MiB"})
    # A stage that was refused is not in the pipeline.
    assert [stage.name for stage in stream._env.graph.stages] == ["x"]
