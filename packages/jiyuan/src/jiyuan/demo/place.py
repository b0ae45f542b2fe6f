"""Where the demo finds its examples and keeps what it makes."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jiyuan._house.errors import nearest
from jiyuan._house.files import write_durably
from jiyuan.errors import BadInput, Conflict, NotFound

MARK = "# Written by `jiyuan demo`; commands run in this folder use what the demo made.\n"


@dataclass(frozen=True)
class Place:
    """The demo's folders.

    Parameters
    ----------
    examples
        The checkout's ``examples`` folder.
    out
        Where the demo writes; nothing else of this machine is touched.
    backends
        Settings in the place of the embedded backends, such as ``{"VEDA_STORE": "minio://..."}``.
    """

    examples: Path
    out: Path
    backends: Mapping[str, str] = field(default_factory=dict)

    @property
    def flow(self) -> Path:
        """The flow that is run and rendered."""
        return self.examples / "flows" / "momentum"

    @property
    def algorithm(self) -> Path:
        """The workspace that is packed."""
        return self.examples / "momentum"

    def home(self, name: str) -> Path:
        """Return the home of one library; ``author`` is that of whoever packs the algorithm."""
        return self.out / "home" / name

    def environment(self) -> dict[str, str]:
        """Return the settings of the libraries: the given backends, else embedded ones, in the demo's own homes."""
        return {
            "EXIA_BLOBS": "file://",
            "EXIA_HOME": str(self.home("exia")),
            "EXIA_MONITOR": "jsonl://",
            "EXIA_OBJECTS": "file://",
            "EXIA_PARAMS": "file://",
            "EXIA_RUNS": "sqlite://",
            "JIYUAN_HOME": str(self.home("jiyuan")),
            "KYRIOS_DATA": "file://",
            "KYRIOS_HISTORY": "sqlite://",
            "KYRIOS_HOME": str(self.home("kyrios")),
            "PTOLEMY_HOME": str(self.home("ptolemy")),
            "PTOLEMY_SERIES": "arrow://",
            "VEDA_HOME": str(self.home("veda")),
            "VEDA_REGISTRY": "sqlite://",
            "VEDA_STORE": f"file://{self.out / 'store'}",
            **self.backends,
        }

    def make(self) -> None:
        """Make the folder ready for a run, also after one that was interrupted.

        Raises
        ------
        Conflict
            If the folder holds what the demo did not write.
        """
        ours = self.out / "jiyuan.toml"
        if self.out.is_dir() and any(self.out.iterdir()) and not _begins_with_mark(ours):
            raise Conflict(
                f"{self.out} is not empty and was not made by the demo", hint="jiyuan demo --out ANOTHER_FOLDER"
            )
        if self.out.exists() and not self.out.is_dir():
            raise BadInput(f"{self.out} is not a folder", hint="jiyuan demo --out ANOTHER_FOLDER")
        write_durably(ours, self._toml().encode())
        ours.chmod(0o600)  # the addresses of servers may hold passwords
        # The algorithm is packed, pushed and pulled into an empty home each time: that is what this step
        # shows, and an example that was edited since must not be refused as another release of one version.
        for folder in (self.home("author"), self.home("veda"), self.out / "packages", self.out / "store"):
            shutil.rmtree(folder, ignore_errors=True)

    def _toml(self) -> str:
        sections: dict[str, list[str]] = {}
        for name, value in self.environment().items():
            library, _, key = name.lower().partition("_")
            # Relative to the file, so that the folder can be moved.
            value = value.replace(f"//{self.out}/", "").replace(f"{self.out}/", "")
            sections.setdefault(library, []).append(f"{key} = '{value}'")
        return MARK + "".join(f"\n[{library}]\n" + "\n".join(lines) + "\n" for library, lines in sections.items())


def read_backends(path: Path) -> dict[str, str]:
    """Read the addresses of backends from a ``jiyuan.toml``, as settings by the names of their variables.

    Raises
    ------
    BadInput
        If the file cannot be read, or names what is no backend of a library.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise BadInput(f"{path} cannot be read: {exc}") from None
    found: dict[str, str] = {}
    for library, section in document.items():
        if not isinstance(section, dict):
            raise BadInput(f"{path}: {library!r} stands in no section", hint="such as [veda]")
        for key, value in section.items():
            name = f"{library}.{key}"
            if name not in _BACKENDS:
                raise BadInput(f"{path}: {name} is no backend of the demo", hint=nearest(name, _BACKENDS))
            if not isinstance(value, str) or ":" not in value:
                raise BadInput(f"{path}: {name} is no URL", hint=f'{key} = "scheme://host:port/..."')
            found[f"{library}_{key}".upper()] = value
    return found


_BACKENDS = (
    *(f"exia.{key}" for key in ("artifacts", "blobs", "mirror", "monitor", "objects", "params", "runs")),
    *(f"kyrios.{key}" for key in ("data", "engine", "history")),
    "ptolemy.series",
    *(f"veda.{key}" for key in ("index", "registry", "store")),
)


def find_examples(start: Path) -> Path:
    """Return the ``examples`` folder at or above `start`, or of the checkout that this code lies in."""
    for folder in (start, *start.parents, *Path(__file__).resolve().parents):
        if (folder / "examples" / "flows" / "momentum" / "flow.yaml").is_file():
            return folder / "examples"
    raise NotFound(
        f"no examples folder at or above {start}",
        hint="run the demo in a clone of the repository, or name the folder: jiyuan demo --examples DIR",
    )


@contextmanager
def settings(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begins_with_mark(path: Path) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8").startswith(MARK)
