"""What SECURITY.md says is refused, asked of the real servers and commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SERVERS = {
    "exia": ("exia", "serve", "python:statistics:NormalDist"),
    "kyrios": ("kyrios", "serve", str(ROOT / "examples/flows/hello")),
    "ptolemy": ("ptolemy", "serve", "--push", "--web"),
    "jiyuan": ("jiyuan", "web"),
}
#: What each server tells whoever may read it.
READ = {"exia": "/stats", "kyrios": "/flows", "ptolemy": "/v1/", "jiyuan": "/web/runs"}
WRONG = "ptl_00000000_x_00000000"


@dataclass
class Centre:
    """Homes below one folder, and the servers of one test."""

    home: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {k: os.environ[k] for k in ("LANG", "TMPDIR") if k in os.environ}
        env = {**kept, "HOME": str(self.home), "PATH": f"{BIN}:{os.environ['PATH']}"}
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]], cwd=self.home, env=env, capture_output=True, text=True, timeout=120
        )

    def token(self, library: str, *words: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.run(library, "token", "create", "desk", *words, "--json").stdout)
        return made

    def serve(self, name: str, *words: str) -> str:
        command, *rest = SERVERS[name]
        env = {"HOME": str(self.home), "PATH": f"{BIN}:{os.environ['PATH']}"}
        process = subprocess.Popen(
            [str(BIN / command), *rest, "--port", "0", "--json", *words],
            cwd=self.home, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.running.append(process)
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if line.startswith("}"):
                break
        url: str = json.loads(said)["url"]
        return re.sub(r"/web$", "", url).replace("0.0.0.0", "127.0.0.1").rstrip("/")


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    found = Centre(tmp_path / "home")
    found.home.mkdir()
    yield found
    for process in found.running:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def ask(url: str, token: str = "", method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    """Return the status of an answer."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent |= {"Authorization": f"Bearer {token}", "X-API-Key": token}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, sent, method=method), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code


each_server = pytest.mark.parametrize("name", list(SERVERS))


def library(name: str) -> str:
    """Whose tokens a server takes."""
    return "ptolemy" if name == "jiyuan" else name


@each_server
def test_anonymous_reads_and_calls_nothing(centre: Centre, name: str):
    url = centre.serve(name)
    assert ask(url + READ[name]) == 200

    centre.token(library(name))

    assert ask(url + READ[name]) == 401
    if name == "exia":
        assert ask(f"{url}/call/cdf", method="POST", body=b"[1.0]", Content_Type="application/json") == 401
    if name == "kyrios":
        assert ask(f"{url}/flows/hello/runs", method="POST", body=b"{}", Content_Type="application/json") == 401


@pytest.mark.parametrize("name", ["exia", "kyrios"])
def test_anonymous_reaches_no_server_beyond_this_machine(centre: Centre, name: str):
    done = centre.run(*SERVERS[name], "--host", "0.0.0.0", "--port", "0")

    assert done.returncode == 2
    assert "token create" in done.stderr


@pytest.mark.parametrize("name", ["ptolemy", "jiyuan"])
def test_anonymous_reaches_no_view_beyond_this_machine(centre: Centre, name: str):
    url = centre.serve(name, "--host", "0.0.0.0")

    assert ask(url + READ[name]) == 401


@each_server
def test_anonymous_gets_in_by_no_made_up_token(centre: Centre, name: str):
    text = centre.token(library(name))["token"]
    other = centre.token("kyrios" if name == "exia" else "exia")["token"]
    url = centre.serve(name)

    for wrong in (WRONG, text[:-1], text[:-12] + "A" * 12, other):
        assert ask(url + READ[name], wrong) == 401, wrong


@each_server
def test_a_page_of_elsewhere_calls_no_server(centre: Centre, name: str):
    url = centre.serve(name)

    assert ask(url + READ[name], Host="evil.example") == 403
    assert ask(url + READ[name], Origin="http://evil.example") == 403


def test_a_reader_does_no_more_than_the_scopes_say(centre: Centre):
    token = centre.token("exia", "--method", "pdf")["token"]
    url = centre.serve("exia")
    assert ask(f"{url}/call/pdf", token, "POST", b"[1.0]", Content_Type="application/json") == 200
    assert ask(f"{url}/call/cdf", token, "POST", b"[1.0]", Content_Type="application/json") == 403

    token = centre.token("kyrios", "--scope", "read")["token"]
    url = centre.serve("kyrios")
    assert ask(f"{url}/flows", token) == 200
    for verb in ("runs", "render"):
        assert ask(f"{url}/flows/hello/{verb}", token, "POST", b"{}", Content_Type="application/json") == 403

    token = centre.token("ptolemy", "--scope", "daily")["token"]
    url = centre.serve("ptolemy")
    assert ask(f"{url}/v1/weekly", token) == 403
    assert ask(f"{url}/v1/daily", token, "PUT", b"x", Content_Type="application/vnd.apache.arrow.stream") == 403
    assert ask(f"{url}/web", token) == 401


@pytest.mark.parametrize("name", ["exia", "kyrios", "ptolemy"])
def test_a_reader_is_out_when_the_token_is_revoked(centre: Centre, name: str):
    made = centre.token(name)
    url = centre.serve(name)
    assert ask(url + READ[name], made["token"]) == 200

    assert centre.run(name, "token", "revoke", made["id"]).returncode == 0

    assert ask(url + READ[name], made["token"]) == 401


@pytest.mark.parametrize("name", ["exia", "kyrios", "ptolemy"])
def test_a_reader_sees_no_secret(centre: Centre, name: str):
    text = centre.token(name)["token"]
    setting = {"exia": "runs = 'mongodb://me:canary@127.0.0.1/x'", "kyrios": "history = 'mysql://me:canary@127.0.0.1/x'",
               "ptolemy": "series = 'influxdb://me:canary@127.0.0.1:1/x'"}[name]  # fmt: skip
    (centre.home / "jiyuan.toml").write_text(f"[{name}]\n{setting}\n")

    for words in (("token", "list"), ("token", "list", "--json"), ("config", "show", "--origin"), ("doctor",)):
        done = centre.run(name, *words)
        assert "canary" not in done.stdout + done.stderr
        assert text.split("_")[2] not in done.stdout + done.stderr
    kept = "".join(p.read_text(errors="replace") for p in centre.home.rglob("tokens*.json"))
    assert kept
    assert text.split("_")[2] not in kept


@pytest.mark.parametrize("name", ["exia", "kyrios", "ptolemy"])
def test_an_operator_neither_reads_a_token_again_nor_passes_one_in_the_open(centre: Centre, name: str):
    text = centre.token(name)["token"]
    (centre.home / "jiyuan.toml").write_text(f'[services.one]\ncommand = "sh -c true --token {text}"\n')

    assert centre.run("jiyuan", "up").returncode == 2
    path = next(centre.home.rglob("tokens*.json"))
    assert path.stat().st_mode & 0o077 == 0


@pytest.fixture
def package(centre: Centre) -> Callable[[str], Path]:
    """A function that packs an algorithm that returns `value`."""

    def pack(value: str) -> Path:
        place = centre.home / "one"
        (place / "src" / "one").mkdir(parents=True, exist_ok=True)
        (place / "veda.toml").write_text(
            '[package]\nname = "one"\nversion = "1.0.0"\nsummary = "One"\nlicense = "Apache-2.0"\nauthors = ["T"]\n'
            'requires-python = ">=3.11"\n[entry-points]\ndefault = "one:one"\n'
        )
        (place / "README.md").write_text("# one\n")
        (place / "src" / "one" / "__init__.py").write_text(f'"""One."""\n\n\ndef one():\n    return {value}\n')
        path = centre.home / f"one-{value}.vedapkg"
        done = centre.run("veda", "pack", "one", "--out", str(path))
        assert done.returncode == 0, done.stderr
        return path

    return pack


def test_an_author_changes_no_package_under_its_version(centre: Centre, package: Callable[[str], Path]):
    assert centre.run("veda", "push", str(package("1"))).returncode == 0
    done = centre.run("veda", "push", str(package("2")))

    assert done.returncode == 5, done.stdout + done.stderr
    assert "one" in done.stderr


def test_an_author_ships_no_package_that_leads_out_of_its_folder(centre: Centre, package: Callable[[str], Path]):
    hostile = centre.home / "hostile.vedapkg"
    hostile.write_bytes(package("1").read_bytes())
    with zipfile.ZipFile(hostile, "a") as archive:
        archive.writestr("../../outside", "x")

    done = centre.run("veda", "push", str(hostile))

    assert done.returncode in (1, 2)
    assert not list(centre.home.parent.glob("**/outside"))


def test_every_refusal_of_the_page_has_its_test():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8")))

    assert len(named) >= 10
    assert {name for name in named if name not in globals()} == set()
