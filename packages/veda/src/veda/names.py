"""Names of packages, versions, paths in a package, and references to releases."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from veda.errors import BadInput

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")
_TAG = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_PLATFORM = re.compile(r"any|(?:cp[0-9]{2,4}-)?[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{8,64}")
# What Windows cannot name would make a package that unpacks on one machine only.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
# What most paths are: no character, part or length that any rule below is about.
_SIMPLE = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*(?<!\.)/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*(?<!\.)")
_DEVICE_IN = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|$)", re.IGNORECASE)
_UNPORTABLE = frozenset('<>:"|?*')


def normalise_name(text: str) -> str:
    """Return a package name as PEP 503 normalises it: lower case, runs of ``-_.`` become one dash."""
    name = re.sub(r"[-_.]+", "-", text).lower()
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{text!r} is not a package name",
            hint="use letters, digits and dashes, such as mean-reversion",
        )
    return name


def normalise_version(text: str) -> str:
    """Return a version as PEP 440 normalises it; raise `BadInput` if it is none."""
    try:
        return str(Version(text))
    except InvalidVersion:
        raise BadInput(f"{text!r} is not a version", hint="write it as PEP 440 says, such as 1.2.0 or 2.0rc1") from None


def is_version(text: str) -> bool:
    """Tell whether `text` is a version."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def is_platform(text: str) -> bool:
    """Tell whether `text` says for which machines a package is: ``any``, ``linux_x86_64``, ``cp311-linux_x86_64``."""
    return len(text) <= 64 and _PLATFORM.fullmatch(text) is not None


def normalise_tag(text: str) -> str:
    """Return a tag; raise `BadInput` if it is none or could be taken for a version."""
    try:
        Version(text)
    except InvalidVersion:
        if _TAG.fullmatch(text):
            return text
    raise BadInput(f"{text!r} is not a tag", hint="use lower-case letters, digits and dashes, such as champion")


@dataclass(frozen=True)
class Ref:
    """A reference to a release; at most one of the four fields after the name is set.

    ``momentum`` is the newest, ``momentum@1.2.0`` that version, ``momentum@~=1.2`` the newest that
    fits, ``momentum@champion`` the one that carries the tag, ``momentum@sha256:...`` the one with
    this digest (or the only one whose digest begins so).
    """

    name: str
    version: str | None = None
    specifier: str | None = None
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Parse `text`; raise `BadInput` if it is no reference."""
        head, at, tail = text.partition("@")
        name = normalise_name(head)
        if not at:
            return cls(name)
        if tail.startswith("sha256:"):
            if not _DIGEST.fullmatch(tail):
                raise BadInput(f"{tail!r} is not a digest", hint="write sha256: and at least 8 of its 64 hex digits")
            return cls(name, digest=tail)
        if tail[:1] in ("=", "<", ">", "!", "~"):
            try:
                return cls(name, specifier=str(SpecifierSet(tail)))
            except InvalidSpecifier:
                raise BadInput(f"{tail!r} is not a version specifier", hint=f"{name}@~=1.2 or {name}@>=1,<2") from None
        try:
            return cls(name, version=str(Version(tail)))
        except InvalidVersion:
            return cls(name, tag=normalise_tag(tail))

    def __str__(self) -> str:
        tail = self.version or self.specifier or self.tag or self.digest
        return f"{self.name}@{tail}" if tail else self.name


def path_fault(path: str) -> tuple[str, str] | None:
    """Return why `path` cannot be a file's name in a package, as (reason, detail), or None if it can."""
    if len(path) <= 240 and _SIMPLE.fullmatch(path) and not _DEVICE_IN.search(path):
        return None
    shown = repr(path[:120])
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "path-not-utf8", f"{shown} is not valid Unicode"
    parts = path.split("/")
    if not path or path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "path-absolute", f"{shown} is not a relative path"
    if ".." in parts:
        return "path-escapes", f"{shown} leaves the package"
    if "\\" in path:
        return "path-backslash", f"{shown} holds a backslash"
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in path):
        return "path-control-character", f"{shown} holds a control character"
    if unicodedata.normalize("NFC", path) != path:
        return "path-not-nfc", f"{shown} is not in Unicode normal form C"
    if any(part in ("", ".") for part in parts):
        return "path-not-plain", f"{shown} holds an empty or '.' part"
    if any(_DEVICE.fullmatch(p) or p[-1] in ". " or _UNPORTABLE & set(p) for p in parts):
        return "path-not-portable", f"{shown} cannot exist on every system"
    if len(encoded) > 1024 or any(len(p.encode()) > 240 for p in parts):
        return "path-too-long", f"{shown} is longer than 1024 bytes, or a part of it than 240"
    return None


def paths_fault(paths: list[str]) -> tuple[str, str] | None:
    """Return why `paths` cannot stand beside one another in a package, or None if they can."""
    files: dict[str, str] = {}
    for path in paths:
        key = _folded(path)
        if key in files:
            kind = "duplicate-path" if files[key] == path else "path-clash"
            return kind, f"{files[key]!r} and {path!r} are one file where case does not count"
        files[key] = path
    folders: dict[str, str] = {}
    seen = {""}
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder not in seen:
            seen.add(folder)
            key = _folded(folder)
            if key in files:
                return "parent-is-a-file", f"{folder!r} is a file, and {path!r} lies below it"
            if folders.setdefault(key, folder) != folder:
                return "path-clash", f"{folders[key]!r} and {folder!r} are one folder where case does not count"
            folder = folder.rpartition("/")[0]
    return None


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())
