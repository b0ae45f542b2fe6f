"""Find a unit's function: in a module beside its flow first, then among what is installed."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_lock = threading.RLock()


def load_function(folder: Path, call: str) -> tuple[Callable[..., Any], str]:
    """Return the function that `call` (``module:function``) names, and the digest of its module's file."""
    name, _, function = call.partition(":")
    source = folder / f"{name.replace('.', '/')}.py"
    with _lock:
        module = _beside(folder, source) if source.is_file() else importlib.import_module(name)
    return getattr(module, function), _digest(Path(module.__file__ or source))


def load_built(folder: Path) -> Any:
    """Return the one flow that ``flow.py`` in `folder` has written in Python."""
    from kyrios.authoring import FlowBuilder
    from kyrios.errors import BadInput

    try:
        with _lock:
            module = _beside(folder, folder / "flow.py")
    except Exception as exc:
        raise BadInput(f"{folder / 'flow.py'} cannot be read: {blame(exc, folder)}") from exc
    found = [value for value in vars(module).values() if isinstance(value, FlowBuilder)]
    if len(found) != 1:
        raise BadInput(f"{folder / 'flow.py'} has {len(found)} flows, not one", hint="with kyrios.flow(...) as flow:")
    return found[0]


def _beside(folder: Path, source: Path) -> ModuleType:
    # Two flows may both have a units.py, so a module's name holds the place and the content of its file.
    content = source.read_bytes()
    key = hashlib.sha256(str(source.resolve()).encode() + b"\0" + content).hexdigest()[:16]
    name = f"_kyrios_{source.stem}_{key}"
    if name in sys.modules:
        return sys.modules[name]
    # At the end: a helper beside the flow may be imported, but never in the place of an installed module.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _digest(source: Path) -> str:
    return f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}" if source.is_file() else ""


def blame(error: BaseException, folder: Path) -> str:
    """Say `error` in one line with the user's own file and line, the innermost one beside the flow."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    frames = traceback.extract_tb(error.__traceback__)
    ours = Path(__file__).parent
    own = [f for f in frames if Path(f.filename).is_relative_to(folder)]
    own = own or [f for f in frames if not Path(f.filename).is_relative_to(ours)]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    return f"{text} ({own[-1].filename}:{own[-1].lineno}, in {own[-1].name})" if own else text
