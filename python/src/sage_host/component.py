"""What runs at a stage: a component in a file, or a Python operator that becomes one."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional, Union

PathLike = Union[str, "os.PathLike[str]"]


class Wasm:
    """An operator that is a component: ``Wasm("heavy.wasm", config={"threshold": 3})``.

    The path is relative to the folder of the environment, as in a pipeline file. The component gets ``config`` as JSON.

    >>> Wasm("operators/heavy.wasm").stage_name
    'heavy'
    """

    def __init__(self, path: PathLike, *, config: Optional[Mapping[str, Any]] = None) -> None:
        self.path = os.fspath(path)
        self.config: Dict[str, Any] = dict(config or {})
        if not self.path:
            raise ValueError("the path of a component is empty")

    @property
    def stage_name(self) -> str:
        """The name of a stage that runs it, unless the stage gets another one."""
        return os.path.splitext(os.path.basename(self.path))[0]

    def __repr__(self) -> str:
        return f"Wasm({self.path!r}, config={self.config!r})" if self.config else f"Wasm({self.path!r})"
