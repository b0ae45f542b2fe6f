"""One file that holds everything that a run was made of."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

from jiyuan._house.files import replacing
from jiyuan.errors import BadInput, Conflict, NotFound
from jiyuan.reproduction.evidence import Finding, check, gather

SCHEMA = "urn:jiyuan:archive:1"
LIST = "archive.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same run gives the same archive, whenever it is made
_MOST = 1 << 36  #: Bytes that an archive may unpack to.

_KINDS = {
    "store": "package",
    "data": "data",
    "flow": "code",
    "units": "code",
    "outputs": "output",
    "lineage.json": "record",
    "run.json": "record",
    "graph.json": "flow",
    "environment.txt": "environment",
}


def export(run: str | Any, out: str | Path | None = None) -> Path:
    """Put everything that a run was made of into one archive, and return its path.

    The archive holds the lineage record, the flow, the packages, the data sets as they were read, the list of all
    distributions, and the tables that the run gave. `reproduce` takes it on any machine. The same run gives the
    same archive, byte for byte.

    Parameters
    ----------
    run
        Its id, part of its id, or the run itself.
    out
        The archive; None is ``<flow>-<end of the id>.zip`` in the working folder.

    Raises
    ------
    Conflict
        If the flow, a package or a data set is no longer what the run used, or `out` is there already.

    Examples
    --------
    >>> import jiyuan as jy
    >>> run = jy.flow("examples/flows/hello").run()
    >>> path = jy.export(run, "hello.zip")
    >>> jy.reproduce(path).equal
    True
    """
    from jiyuan.reproduction.proving import flow_run

    found = flow_run(run)
    path = Path(out) if out is not None else Path(f"{found.head.flow}-{found.run_id[-12:]}.zip")
    if path.exists():
        raise Conflict(f"{path} is there already", hint="jiyuan export RUN -o ANOTHER.zip")
    with TemporaryDirectory(prefix="jiyuan-") as name:
        folder = Path(name)
        faults = [*gather(found, folder), *check(folder), *_code(folder)]
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise Conflict(
                f"run {found.run_id} cannot be exported: {faults[0].said}{more}",
                hint=f"jiyuan reproduce {found.run_id}",
            )
        pack(folder, path)
    return path


def pack(folder: Path, path: Path) -> None:
    """Write the files of `folder` into the archive `path`, with a list of their digests."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    listed = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.name != LIST
    }
    head = json.dumps({"schema": SCHEMA, "files": listed}, indent=1).encode()
    with replacing(path.absolute()) as file, zipfile.ZipFile(file, "w") as archive:
        _add(archive, LIST, head)
        for name in listed:
            _add(archive, name, (folder / name).read_bytes())


def unpack(path: Path, folder: Path) -> list[Finding]:
    """Write the files of the archive `path` into `folder`; return those that are not what was exported.

    Raises
    ------
    NotFound
        If there is no such file.
    BadInput
        If it is no archive of a run.
    """
    if not path.is_file():
        raise NotFound(f"there is no archive {path}", hint="jiyuan export RUN")
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _unpacked(archive, folder, path)
    except zipfile.BadZipFile as exc:
        raise BadInput(f"{path} is no archive of a run: {exc}", hint="jiyuan export RUN") from None


def _unpacked(archive: zipfile.ZipFile, folder: Path, path: Path) -> list[Finding]:
    try:
        listed = json.loads(archive.read(LIST))
        files: dict[str, str] = listed["files"]
        if listed["schema"] != SCHEMA:
            raise KeyError(listed["schema"])
    except (KeyError, ValueError, TypeError) as exc:
        raise BadInput(f"{path} is no archive of a run: it has no {LIST} that can be read ({exc})") from None
    except (zipfile.BadZipFile, zlib.error):
        return [Finding("archive", f"{LIST} in the archive was changed after it was exported")]
    if sum(info.file_size for info in archive.infolist()) > _MOST:
        raise BadInput(f"{path} would unpack to more than {_MOST:,} bytes")
    found = [
        Finding("archive", f"{name} in the archive was not exported") for name in archive.namelist()
        if name not in files and name != LIST
    ]  # fmt: skip
    for name, digest in files.items():
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name:
            raise BadInput(f"{path} is no archive of a run: {name!r} leads out of it")
        kind = _KINDS.get(parts[0], "archive")
        try:
            content = archive.read(name)
        except KeyError:
            found.append(Finding(kind, f"{name} is missing in the archive"))
            continue
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            found.append(Finding(kind, f"{name} in the archive was changed after it was exported"))
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return found


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    with _entry(archive, info) as entry:
        entry.write(content)


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w")


def _code(folder: Path) -> list[Finding]:
    """Return what of the gathered flow is not the code that ran."""
    from jiyuan.reproduction.comparing import changed_code

    return changed_code(folder)
