"""Tokens that are guessed, mistyped or revoked: none is taken, in any worker."""

from __future__ import annotations

import json
import random
import string
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from tests.faults.figures import Faults

MUTATED = 10_000
REVOKED = 20
ALPHABET = string.ascii_letters + string.digits + "_"


@pytest.fixture
def store(tmp_path: Path) -> str:
    import ptolemy

    part = tmp_path / "bars.csv"
    part.write_text("ts_code,trade_date,open,high,low,close,vol\n600000.SH,20240102,10,11,9,10,100\n")
    ptolemy.collect(f"csv:{part}", "daily", f"arrow:{tmp_path}/store")
    return f"arrow:{tmp_path}/store"


@pytest.fixture
def url(store: str, tmp_path: Path) -> Iterator[str]:
    """Give the address of a service with two workers; its home is tmp_path/home."""
    command = [
        str(Path(sys.executable).with_name("ptolemy")),
        "serve",
        "--port",
        "0",
        "--workers",
        "2",
        "--store",
        store,
    ]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PTOLEMY_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        yield json.loads("".join(lines))["url"]
        process.terminate()
        process.wait(timeout=30)


def mutated(text: str, rng: random.Random) -> str:
    """Return `text` with one to four edits; half of them with the check sum that fits."""
    letters = list(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(letters))
        match rng.randrange(5):
            case 0:
                letters[at] = rng.choice(ALPHABET)
            case 1:
                del letters[at]
            case 2:
                letters.insert(at, rng.choice(ALPHABET))
            case 3:
                letters[at] = letters[at].swapcase()
            case _:
                other = rng.randrange(len(letters))
                letters[at], letters[other] = letters[other], letters[at]
    changed = "".join(letters)
    if rng.random() < 0.5:
        body = changed.rpartition("_")[0]
        changed = f"{body}_{crc32(body.encode()):08x}"
    return changed


def test_no_mutated_token_is_taken(tmp_path: Path, faults: Faults):
    from ptolemy.http.tokens import Tokens

    figure = faults.figure(
        "token-mutated", "ptolemy", "a token with one to four edits, half with a check sum that fits"
    )
    tokens = Tokens(tmp_path / "tokens.json", "ptl")
    real = [tokens.create(f"desk {i}", ["*"], 0, None)[1] for i in range(5)]
    rng = random.Random(20261123)

    for _ in range(faults.count(MUTATED)):
        text = real[0]
        while text in real:
            text = mutated(rng.choice(real), rng)
        figure.survives(f"taken: {text[:12]}" if tokens.find(text) else None)

    assert figure.lost == 0, figure.harms
    assert all(tokens.find(text) for text in real)


def status(url: str, token: str) -> int:
    request = urllib.request.Request(f"{url}/v1/daily", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code


def test_a_revoked_token_is_refused_within_a_second_by_every_worker(url: str, tmp_path: Path, faults: Faults):
    from ptolemy.http.tokens import Tokens

    figure = faults.figure("token-revoked", "ptolemy", "a token revoked while 4 callers use it: refused within 1 s")
    tokens = Tokens(tmp_path / "home" / "tokens.json", "ptl")

    for _ in range(faults.count(REVOKED)):
        made, text = tokens.create("desk", ["daily"], 0, None)
        seen: list[tuple[float, int]] = []
        over = threading.Event()

        def calls(text: str = text, seen: Any = seen, over: threading.Event = over) -> None:
            while not over.is_set():
                began = time.monotonic()
                seen.append((began, status(url, text)))

        callers = [threading.Thread(target=calls) for _ in range(4)]
        for caller in callers:
            caller.start()
        while len([s for _, s in seen if s == 200]) < 8:
            over.wait(0.01)
        tokens.revoke(made.id)
        revoked = time.monotonic()
        while len([at for at, s in seen if at > revoked and s in (401, 429)]) < 8:
            over.wait(0.01)
        over.set()
        for caller in callers:
            caller.join()
        late = [at - revoked for at, s in seen if s == 200 and at > revoked]
        strange = {s for _, s in seen} - {200, 401, 429}
        harm = (
            f"taken {max(late):.3f} s later" if late and max(late) > 1 else f"answered {strange}" if strange else None
        )
        figure.survives(harm)

    assert figure.lost == 0, figure.harms
