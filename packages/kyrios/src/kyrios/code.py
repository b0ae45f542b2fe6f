"""Find a unit's function: in a module beside its flow first, then among what is installed."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from types import ModuleType
from typing import Any

_lock = threading.RLock()


def load_function(folder: Path, call: str) -> tuple[Callable[..., Any], str]:
    """Return the function that `call` (``module:function``) names, and the digest of its module's file."""
    name, _, function = call.partition(":")
    place = os.path.join(folder, f"{name.replace('.', '/')}.py")  # noqa: PTH118 - a Path costs ten times as much
    beside = _stamp(place)
    known = _found.get((place, call))
    if known is not None and known[0] == beside and (beside or known[1] == _stamp(known[2])):
        return known[3], known[4]
    source = Path(place)
    with _lock:
        module = _beside(folder, source) if beside else importlib.import_module(name)
    file = Path(module.__file__ or source)
    answer = getattr(module, function), _digest(file)
    _found[place, call] = beside, _stamp(str(file)), str(file), *answer
    return answer


#: What a call has given before, and the stamps of the files that say whether it still does.
_found: dict[tuple[str, str], tuple[Any, Any, str, Callable[..., Any], str]] = {}


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if S_ISREG(stat.st_mode) else None


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
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Not by its loader: that takes the bytecode of an earlier file of the same size and second.
        exec(compile(content, str(source), "exec", dont_inherit=True), vars(module))
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
