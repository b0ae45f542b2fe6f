"""Install what Debian and PyPI supply: Debian's packages, Consul from an older Debian, PyPI's stand-ins.

Nothing but the standard library: this runs before there is an environment. Each part is skipped where it is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.services.places import CACHE, CONSUL, MLFLOW, VENV, find
from tests.services.table import SERVICES

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MLFLOW_REQUIREMENTS = Path(__file__).with_name("mlflow.txt")
TESTED_ON = "bookworm"

#: Consul left Debian after bullseye. What is unpacked is this file and no other.
CONSUL_SHA256 = "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9"
CONSUL_VERSION = "1.8.7+dfsg1-2+b3"
#: Debian moves a release that is out of support from the first to the second.
MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")

POLICY = Path("/usr/sbin/policy-rc.d")
_NO_DAEMONS = "#!/bin/sh\n# Written by scripts/services for the time of an installation.\nexit 101\n"


class InstallFailed(RuntimeError):
    """A part could not be installed; `code` is the exit code that says why."""

    def __init__(self, message: str, hint: str, code: int = 1) -> None:
        super().__init__(f"{message}\nhint: {hint}")
        self.code = code


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def install() -> int:
    """Install all that is missing; return 0, or the exit code of the last part that failed."""
    code = 0
    if (release := _release()) != TESTED_ON:
        say(f"note: tested on Debian {TESTED_ON} only, and this is {release or 'not Debian'}; what it lacks is named")
    for part in (pypi, mlflow, consul, debian):
        try:
            part()
        except InstallFailed as exc:
            say(f"error: {exc}")
            code = exc.code
    missing = [row.word for row in SERVICES if find(row) is None]
    say(f"missing: {', '.join(missing)}" if missing else f"all {len(SERVICES)} are installed")
    return code or int(bool(missing))


def debian() -> None:
    """Install Debian's packages without starting any of their daemons."""
    wanted = [row.package for row in SERVICES if row.source == "debian" and find(row) is None]
    if not wanted:
        say("debian: nothing to do")
        return
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
    command += ["-o", "Dpkg::Options::=--force-confold"]
    if shutil.which("apt-get") is None:
        raise InstallFailed(
            "debian: there is no apt-get here", f"install {', '.join(wanted)} by your system's own means"
        )
    if os.geteuid() != 0:
        typed = " ".join(["sudo", "apt-get", "install", *wanted])
        raise InstallFailed("debian: only root may install packages", f"sudo scripts/services install, or {typed}", 4)
    _run("debian: the package lists", ["apt-get", "update", "-q"])
    offered = [package for package in wanted if _offered(package)]
    say(f"debian: installing {', '.join(offered) or 'nothing'}")
    if offered:
        with _no_daemons():
            _run("debian", [*command, *offered], DEBIAN_FRONTEND="noninteractive", NEEDRESTART_MODE="l")
    if refused := sorted(set(wanted) - set(offered)):
        raise InstallFailed(f"debian: this release has no {', '.join(refused)}", f"use Debian {TESTED_ON} for them")


def consul() -> None:
    """Unpack Consul's package of Debian bullseye into the cache folder; nothing of it is installed."""
    stamp = CONSUL / CONSUL_SHA256
    if stamp.exists():
        say("consul: nothing to do")
        return
    if shutil.which("apt-get") is None or _architecture() != "amd64":
        raise InstallFailed("consul: only Debian's amd64 package is pinned", "put a consul on PATH")
    say(f"consul: fetching {CONSUL_VERSION} of Debian bullseye")
    work = CACHE / "consul-download"
    shutil.rmtree(work, ignore_errors=True)
    failed: InstallFailed | None = None
    for mirror in MIRRORS:
        try:
            package = _download(mirror, work)
            break
        except InstallFailed as exc:
            failed = exc
    else:
        assert failed is not None
        raise failed
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != CONSUL_SHA256:
        raise InstallFailed(f"consul: {package.name} has sha256 {found}, not {CONSUL_SHA256}", "do not use this mirror")
    shutil.rmtree(CONSUL, ignore_errors=True)
    _run("consul", ["dpkg", "-x", package, CONSUL])
    stamp.touch()
    shutil.rmtree(work)


def pypi() -> None:
    """Make an environment of its own for the stand-ins, exactly those that `requirements.txt` pins by hash."""
    _environment("pypi: the stand-ins", VENV, REQUIREMENTS)


def mlflow() -> None:
    """Make an environment of its own for MLflow, whose hundred packages the stand-ins need not agree with."""
    # Compiled now, or its first start would take a minute.
    _environment("mlflow", MLFLOW, MLFLOW_REQUIREMENTS, "--compile-bytecode")


def _environment(what: str, folder: Path, requirements: Path, *options: str) -> None:
    wanted = hashlib.sha256(requirements.read_bytes() + f"{sys.version} {folder}".encode()).hexdigest()
    stamp = folder / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        say(f"{what}: nothing to do")
        return
    uv = str(ROOT / "scripts" / "uv")
    say(f"{what}: installing into {folder.relative_to(ROOT)}")
    shutil.rmtree(folder, ignore_errors=True)
    _run(what, [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder])
    exact = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    _run(
        what, [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *exact, *options, "-r", requirements]
    )
    stamp.write_text(wanted)


def _download(mirror: str, work: Path) -> Path:
    """Return the package, fetched by apt with sources, lists and cache of its own: the machine's are not touched."""
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    # Without Debian's keys (on Ubuntu) the pinned hash alone says what may be unpacked.
    trust = f"signed-by={keyring}" if keyring.exists() else "trusted=yes"
    (work / "sources.list").write_text(f"deb [{trust} check-valid-until=no] {mirror} bullseye main\n")
    own = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # apt's own user may not write into a person's checkout
    }
    options = [part for name, value in own.items() for part in ("-o", f"{name}={value}")]
    _run("consul", ["apt-get", *options, "update", "-q"])
    _run("consul", ["apt-get", *options, "download", "-q", f"consul={CONSUL_VERSION}"], cwd=work)
    return next(work.glob("consul_*.deb"))


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Forbid packages to start their daemons while they are installed; then put back what was there."""
    saved = POLICY.with_name("policy-rc.d.before-services")
    if POLICY.exists() and not saved.exists():  # if it is there, an earlier run was killed, and ours is in place
        POLICY.rename(saved)
    POLICY.write_text(_NO_DAEMONS)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
        if saved.exists():
            saved.rename(POLICY)


def _offered(package: str) -> bool:
    shown = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False).stdout
    return "Candidate:" in shown and "Candidate: (none)" not in shown


def _release() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/etc/os-release").read_text().splitlines():
            if line.startswith("VERSION_CODENAME="):
                return line.partition("=")[2].strip('"')
    return ""


def _architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=False).stdout.strip()


def _run(what: str, argv: Sequence[str | Path], cwd: Path | None = None, **variables: str) -> None:
    """Run a command quietly; raise `InstallFailed` with its last lines where it fails."""
    done = subprocess.run(
        list(map(str, argv)),
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-6:])
        raise InstallFailed(f"{what}: {Path(argv[0]).name} ended with {done.returncode}\n{tail}", "see above", 6)
