"""Settings with their environment variables, ports with their backends, errors with their exit codes."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from scripts.reference.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]

EXIT_CODES = {
    0: "all is well",
    1: "a finding, or a run that failed",
    2: "the command line, a setting or an input cannot be used",
    3: "what was asked for does not exist",
    4: "not allowed",
    5: "it exists already, or somebody else changed it first",
    6: "a backend does not answer",
    130: "interrupted",
}


def settings_section(library: str) -> list[str]:
    """Return the settings of `library`, each with its key, its variable and its default."""
    rows: list[tuple[object, ...]] = [
        ("`home`", code(f"{library}_HOME".upper()), f"`~/.local/share/{library}`", "Folder of everything embedded.")
    ]
    rows += [
        (code(s.name), code(s.env), code(str(s.default)), s.help) for s in import_module(f"{library}.settings").SETTINGS
    ]
    return [
        "## Settings",
        "",
        f"A key of `[{library}]` in `jiyuan.toml` of the project (searched upward from the working folder) or in",
        "`$XDG_CONFIG_HOME/jiyuan/config.toml`. The first that says counts: argument, environment variable, project",
        f"file, user file, default. `{library} config show --origin` prints where each value came from. The folder",
        "`home` follows `XDG_DATA_HOME` where that is set. A relative path in a file (`home = 'here'`, `file:store`)",
        "begins at the folder of that file; one in an argument or a variable, where the command runs.",
        "",
        *table(["key", "environment variable", "default", "meaning"], rows),
    ]


def backends_section(library: str) -> list[str]:
    """Return the ports of `library` with the URL schemes that they answer to."""
    project = project_of(library)
    extras = project.get("optional-dependencies", {})
    rows = []
    for group, entries in sorted(project.get("entry-points", {}).items()):
        owner, _, port = group.partition(".")
        if owner == library:
            rows += [
                (port, code(f"{word}:"), code(f"pip install 'jiyuan-{library}[{word}]'" if extras.get(word) else ""))
                for word in entries
            ]
    if not rows:
        return []
    return [
        "## Backends",
        "",
        "A backend is named by its URL. Where a driver is needed, an extra brings it.",
        "",
        *table(["port", "URL", "needs"], rows),
    ]


def errors_section(library: str) -> list[str]:
    """Return the exit codes, and every error of `library` with its own."""
    module = import_module(f"{library}.errors")
    found = [getattr(module, name) for name in dir(module) if not name.startswith("_")]
    errors = sorted(
        {e for e in found if isinstance(e, type) and issubclass(e, BaseException) and hasattr(e, "exit_code")},
        key=lambda e: (e.exit_code, e.__name__),
    )
    rows = [(e.exit_code, code(e.__name__), (e.__doc__ or "").strip().partition("\n")[0]) for e in errors]
    return [
        "## Exit codes and errors",
        "",
        *table(["code", "means"], EXIT_CODES.items(), right=["code"]),
        f"In Python each of these is an exception of `{library}.errors`; `exit_code` and `hint` are its attributes.",
        "",
        *table(["code", "exception", "raised when"], rows, right=["code"]),
    ]


def project_of(library: str) -> dict[str, Any]:
    """Return the table `project` of the library's pyproject.toml."""
    text = (ROOT / "packages" / library / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project
