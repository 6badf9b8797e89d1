"""Writes ONNX's own node tests as one file of JSON lines: `prepare.py FILE`. Needs the packages onnx and numpy.

Each line is a test: its name, the models, the inputs and the expected outputs as [name, type, shape, bytes in
hexadecimal], and the tolerances. `models` maps a variant to a file in hexadecimal: "fixed" has the shapes of the test,
"free" has no sizes, "named" has a name for each size. Tests are left out if sage-host does not pass their tensors to
models (strings, sequences, 4-bit and 8-bit floats, unsigned and short integers).
"""

import contextlib
import io
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

TYPES = {
    np.dtype(np.bool_): "bool",
    np.dtype(np.uint8): "u8",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
    np.dtype(np.float16): "f16",
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
}


def tensors(specs, values):
    """The input or output tensors of a test, or None if sage-host does not support the type of one."""
    written = []
    if len(specs) != len(values):
        return None
    for spec, value in zip(specs, values):
        if value is None or isinstance(value, (list, dict)):
            return None
        value = np.asarray(value)
        if value.dtype not in TYPES:
            return None
        written.append([spec.name, TYPES[value.dtype], list(value.shape), np.ascontiguousarray(value).tobytes().hex()])
    names = [spec.name for spec in specs]
    return written if len(set(names)) == len(names) else None


def with_sizes(model, name_of):
    """A copy of a model with free dimensions; `name_of` gives each a name or None."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for side, specs in (("i", copy.graph.input), ("o", copy.graph.output)):
        for spec in specs:
            for at, dimension in enumerate(spec.type.tensor_type.shape.dim):
                dimension.Clear()
                name = name_of(side, spec.name, at)
                if name is not None:
                    dimension.dim_param = name
    return copy.SerializeToString().hex()


def main(path):
    with contextlib.redirect_stdout(io.StringIO()):
        cases = collect_testcases(None)
    written = 0
    with open(path + ".partial", "w", encoding="ascii") as file:
        for case in cases:
            inputs, outputs = case.data_sets[0]
            graph = case.model.graph
            inputs, outputs = tensors(graph.input, inputs), tensors(graph.output, outputs)
            if inputs is None or outputs is None:
                continue
            models = {
                "fixed": case.model.SerializeToString().hex(),
                "free": with_sizes(case.model, lambda *_: None),
                "named": with_sizes(case.model, lambda side, name, at: f"{side}_{name}_{at}"),
            }
            line = {"name": case.name, "models": models, "inputs": inputs, "outputs": outputs}
            file.write(json.dumps({**line, "rtol": case.rtol, "atol": case.atol}) + "\n")
            written += 1
    os.replace(path + ".partial", path)
    print(f"{written} of {len(cases)} node tests of onnx {onnx.__version__} are in {path}")


if __name__ == "__main__":
    main(sys.argv[1])
