"""An environment for others: its lock, a requirements file, a script, a modulefile, a Jupyter kernel."""

from __future__ import annotations

from veda.activation.modules import modulefile
from veda.environment_build import kernel
from veda.environment_model import Generation
from veda.errors import BadInput
from veda.lock_distributions import requirement_lines

FORMATS = ("lock", "requirements", "script", "modulefile", "kernel")


def exported(generation: Generation, format: str = "lock", shell: str = "bash") -> bytes:
    """Return `generation` in `format`; `shell` says for whom a script is."""
    if format == "lock":
        return generation.lock.to_bytes()
    if format == "requirements":
        return "".join(f"{line}\n" for line in requirement_lines(generation.lock.distributions)).encode()
    if format == "script":
        return (generation.path / f"activate.{shell}").read_bytes()
    if format == "modulefile":
        return modulefile(generation).encode()
    if format == "kernel":
        return kernel(generation, generation.python)
    raise BadInput(f"{format!r} is not a format", hint=f"one of {', '.join(FORMATS)}")
