"""Models are saved and parameters set while the process, the power, the line or the server goes."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill, power
from tests.faults.tools.proxy import FaultProxy, Line
from tests.services.process import Server
from tests.services.running import Running

from exia.errors import ExiaError

KILLS = 60
LOSSES = 300
CUTS = 60
SERVER_KILLS = 10

strace = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

#: Saves models, moves an alias to each, and says so.
SAVE = """
import sys
from exia.models import open_models
with open_models(f"file://{sys.argv[1]}/catalogue.fs", f"file://{sys.argv[1]}/blobs") as models:
    for n in range(5):
        info = models.save("m", {"n": n}, alias="champion")
        print(info.version, n, flush=True)
"""

#: Sets two parameters at once, several times, and says so.
SET = """
import sys
from exia.params import open_params
with open_params(f"file://{sys.argv[1]}/params") as params:
    made = params.define("p", {"type": "object", "properties": {"a": {"default": 0}, "b": {"default": 0}}})
    print(made.version, 0, flush=True)
    for n in range(1, 6):
        print(params.set("p", {"a": n, "b": n}).version, n, flush=True)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("EXIA_OBJECTS", "EXIA_BLOBS", "EXIA_PARAMS", "EXIA_SIGNING_KEY", "EXIA_TRUSTED_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def harm_to_models(folder: Path, acknowledged: Sequence[str], at: object) -> str | None:
    """Return what the fault did to the models, None if nothing; a new one must find its place too."""
    from exia.models import open_models

    try:
        with open_models(f"file://{folder}/catalogue.fs", f"file://{folder}/blobs") as models:
            for line in acknowledged:
                version, n = map(int, line.split())
                if models.load(f"m@{version}") != {"n": n}:
                    return f"{at}: m@{version} is another model"
            family = models.family("m")
            last = int(acknowledged[-1].split()[0]) if acknowledged else 0
            if family.aliases.get("champion", 0) < last:
                return f"{at}: champion names {family.aliases.get('champion')}, {last} acknowledged"
            for number in family.numbers:
                models.load(f"m@{number}")  # one that was not acknowledged may be there, but whole
            if models.save("m", {"n": -1}).version != family.last + 1:
                return f"{at}: a number was given twice"
    except ExiaError as exc:
        return f"{at}: {exc}"
    return None


def harm_to_params(folder: Path, acknowledged: Sequence[str], at: object) -> str | None:
    from exia.params import open_params

    try:
        with open_params(f"file://{folder}/params") as params:
            head = params.store.head("p")
            if (head.version if head else 0) < len(acknowledged):
                return f"{at}: at version {head}, {len(acknowledged)} acknowledged"
            if head is None:
                return None
            for version in params.history("p"):
                if version.values != {"a": version.version - 1, "b": version.version - 1}:
                    return f"{at}: version {version.version} has {version.values}"
            if params.set("p", {"a": 9, "b": 9}).version != head.version + 1:
                return f"{at}: a number was given twice"
            if len(params.history("p")) != head.version + 1:
                return f"{at}: the history has gaps"
    except ExiaError as exc:
        return f"{at}: {exc}"
    return None


_Harm = Callable[[Path, Sequence[str], object], "str | None"]
WORK = pytest.mark.parametrize(
    ("what", "script", "harm"),
    [("models", SAVE, harm_to_models), ("params", SET, harm_to_params)],
    ids=["models", "params"],
)


@strace
@WORK
def test_what_was_acknowledged_survives_the_kill_of_the_process(
    tmp_path: Path, faults: Faults, what: str, script: str, harm: _Harm
):
    figure = faults.figure(f"{what}-kill", "exia", f"kill -9 while {what} are written (file)")
    folder = tmp_path / "store"
    argv = [sys.executable, "-c", script, str(folder)]

    for point in kill.spread(kill.points(argv), faults.count(KILLS)):
        shutil.rmtree(folder, ignore_errors=True)
        run = kill.kill_at(point, argv)
        figure.survives(harm(folder, run.acknowledged, point))

    assert figure.lost == 0, figure.harms


@strace
@WORK
def test_what_was_acknowledged_survives_a_power_loss(
    tmp_path: Path, faults: Faults, what: str, script: str, harm: _Harm, monkeypatch: pytest.MonkeyPatch
):
    figure = faults.figure(f"{what}-power", "exia", f"power loss while {what} are written (file)")
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setenv("EXIA_HOME", str(disk / "home"))
    recording = power.record([sys.executable, "-c", script, str(disk / "store")], disk)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(disk / "store", loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def through(url: str, proxy: FaultProxy) -> str:
    parts = urlsplit(url)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{login}127.0.0.1:{proxy.port}"))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, which it may kill."""
    running = Running()
    try:
        yield running.start(request.param)
    finally:
        running.close()


def address(server: Server) -> str:
    return server.url(
        {"postgresql": "EXIA_TEST_POSTGRESQL_URL", "consul": "EXIA_TEST_CONSUL_URL"}.get(
            server.word, "EXIA_TEST_MINIO_URL"
        )
    )


class Writer(ABC):
    """Writes to one port until told to stop; keeps what was acknowledged, and what failed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.done: list[int] = []
        self.failed = 0

    @abstractmethod
    def write(self, n: int) -> None:
        """Write `n` once; it is acknowledged when this returns without an error."""

    @abstractmethod
    def harm(self, url: str) -> str | None:
        """Return what is lost of what was acknowledged, or there twice."""

    def try_to_write(self, n: int) -> None:
        try:
            self.write(n)
        except ExiaError:
            self.failed += 1
        else:
            self.done.append(n)


class SavesModels(Writer):
    """Into PostgreSQL; the version's id is the client's, so that none is there twice."""

    def write(self, n: int) -> None:
        from exia.objects import ModelVersion, open_objects

        store = open_objects(self.url)
        try:
            number = store.family("m").last + 1
            store.add(ModelVersion("m", number, f"id-{n}", b"%d" % n, b"s", "k"))
        finally:
            store.close()

    def harm(self, url: str) -> str | None:
        from exia.objects import open_objects

        done = [f"id-{n}" for n in self.done]  # before it looks: more may be written meanwhile
        store = open_objects(url)
        try:
            found = [store.find("m", number).id for number in store.family("m").numbers]
        finally:
            store.close()
        return _lost_or_twice(found, done)


class SetsParams(Writer):
    """Into Consul; the pointer says whether a cut answer had been a yes."""

    def write(self, n: int) -> None:
        from exia.params import open_params

        with open_params(self.url) as params:
            params.set("p", {"n": n}, why=f"id-{n}")

    def harm(self, url: str) -> str | None:
        from exia.params import open_params

        done = [f"id-{n}" for n in self.done]
        with open_params(url) as params:
            found = [v.why for v in params.history("p") if v.version > 1]
        return _lost_or_twice(found, done)


class PutsBlobs(Writer):
    """Into S3; the name is the digest, so that a repeated write is the same write."""

    def write(self, n: int) -> None:
        from exia._house.backends import open_backend

        store = open_backend("blobs", self.url)
        try:
            store.put(b"%d" % n * 1000)
        finally:
            store.close()

    def harm(self, url: str) -> str | None:
        from exia._house.backends import open_backend
        from exia.blobs.port import digest_of

        store = open_backend("blobs", url)
        try:
            lost = [n for n in list(self.done) if store.get(digest_of(b"%d" % n * 1000)) != b"%d" % n * 1000]
        finally:
            store.close()
        return f"lost: {lost}" if lost else None


def _lost_or_twice(found: list[str], done: list[str]) -> str | None:
    lost = [one for one in done if one not in found]
    twice = sorted({one for one in found if found.count(one) > 1})
    return f"lost: {lost}, twice: {twice}" if lost or twice else None


SERVERS = pytest.mark.parametrize(
    ("server", "kind"),
    [
        pytest.param("postgresql", SavesModels, marks=pytest.mark.postgresql),
        pytest.param("consul", SetsParams, marks=pytest.mark.consul),
        pytest.param("seaweedfs", PutsBlobs, marks=pytest.mark.minio),
    ],
    indirect=["server"],
    ids=["postgresql", "consul", "minio"],
)


def prepared(server: Server) -> str:
    if server.word == "consul":
        from exia.params import open_params

        with open_params(address(server)) as params:
            params.define("p", {"type": "object", "properties": {"n": {"default": 0}}})
    return address(server)


@SERVERS
def test_a_line_that_is_cut_loses_nothing_acknowledged_and_writes_nothing_twice(
    server: Server, kind: type[Writer], faults: Faults
):
    name = {"postgresql": "models", "consul": "params", "seaweedfs": "blobs"}[server.word]
    figure = faults.figure(f"{name}-proxy", "exia", f"{server.row.mark}: the line is cut while {name} are written")
    url = prepared(server)
    with FaultProxy("127.0.0.1", server.port, seed=3) as proxy:
        writer = kind(through(url, proxy))
        for n in range(faults.count(CUTS)):
            way = "to_client" if n % 2 else "to_server"
            proxy.fault(**{way: Line(reset=(0, 6_000))})
            writer.try_to_write(n)
            proxy.heal()
            writer.try_to_write(1_000 + n)
            figure.survives(writer.harm(url))

    assert figure.lost == 0, figure.harms
    assert len(writer.done) >= faults.count(CUTS)


@SERVERS
def test_a_server_that_is_killed_under_load_loses_nothing_acknowledged(
    server: Server, kind: type[Writer], faults: Faults
):
    name = {"postgresql": "models", "consul": "params", "seaweedfs": "blobs"}[server.word]
    figure = faults.figure(
        f"{name}-server-kill", "exia", f"{server.row.mark} is killed and started while {name} are written"
    )
    url = prepared(server)
    writer = kind(url)
    stop = threading.Event()

    def load() -> None:
        n = 0
        while not stop.is_set():
            writer.try_to_write(n)
            n += 1

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(faults.count(SERVER_KILLS)):
            before = len(writer.done)
            while len(writer.done) < before + 5:  # under load, not beside it
                stop.wait(0.01)
            server.kill()
            failed = writer.failed
            while writer.failed == failed:
                stop.wait(0.01)
            server.start()
            figure.survives(writer.harm(url))
    finally:
        stop.set()
        thread.join()

    figure.survives(writer.harm(url))
    assert figure.lost == 0, figure.harms


def test_a_full_disk_is_told_and_leaves_the_stores_readable():
    from tests.faults.tools import disk

    from exia.errors import BackendUnavailable
    from exia.models import open_models
    from exia.params import open_params

    with open_models() as models, open_params() as params:
        models.save("m", {"n": 1}, alias="champion")
        params.define("p", {"type": "object", "properties": {"n": {"default": 0}}})
        with disk.file_limit(64), pytest.raises(BackendUnavailable):
            models.save("m", {"n": os.urandom(500).hex()})
        with disk.file_limit(64), pytest.raises(BackendUnavailable):
            params.set("p", {"n": "x" * 500})

        assert models.load("m@champion") == {"n": 1}
        assert models.family("m").numbers == (1,)
        assert params.get("p").values == {"n": 0}
        assert models.save("m", {"n": 2}).version == 2
        assert params.set("p", {"n": 2}).version == 2
