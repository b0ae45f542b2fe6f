"""Tokens at rest, on the command line, and under attack."""

from __future__ import annotations

import io
import json
import random
import shlex
import sys
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import time_machine

import ptolemy as pt
from ptolemy.errors import BadToken, ConfigError, NotFound, RateLimited
from ptolemy.http.limits import Limits
from ptolemy.http.tokens import Tokens


def test_a_token_has_a_prefix_an_id_a_secret_and_a_check_sum(tokens: Tokens):
    made, text = tokens.create("desk", ["daily"], 500, None)

    prefix, id, secret, check = text.split("_")
    assert (prefix, id, len(secret)) == ("ptl", made.id, 43)
    assert check == f"{crc32(text.rpartition('_')[0].encode()):08x}"
    assert tokens.find(text) == made


def test_the_secret_is_nowhere_on_the_disk(tokens: Tokens):
    _, text = tokens.create("desk", ["daily"], 500, None)

    kept = b"".join(p.read_bytes() for p in tokens.path.parent.iterdir())

    assert text.split("_")[2].encode() not in kept


def test_another_process_sees_a_new_a_rotated_and_a_revoked_token_at_once(tokens: Tokens):
    other = Tokens(tokens.path, "ptl")
    old, text = tokens.create("desk", ["daily"], 7, None)
    assert other.find(text) == old

    new, next_text = tokens.rotate(old.id, 0, None)
    assert (other.find(text), other.find(next_text)) == (None, new)
    assert (new.name, new.scopes, new.rate) == ("desk", ("daily",), 7)

    tokens.revoke(new.id)
    assert other.find(next_text) is None
    assert other.all()


def test_a_rotated_token_is_valid_for_the_overlap(tokens: Tokens):
    with time_machine.travel("2026-01-01", tick=False) as clock:
        old, text = tokens.create("desk", ["*"], 0, time.time() + 86400)
        tokens.rotate(old.id, 3600, None)

        clock.shift(3599)
        assert tokens.find(text)
        clock.shift(1)
        assert tokens.find(text) is None


def test_an_overlap_makes_no_token_live_longer(tokens: Tokens):
    with time_machine.travel("2026-01-01", tick=False) as clock:
        old, text = tokens.create("desk", ["*"], 0, time.time() + 60)
        tokens.rotate(old.id, 3600, None)

        clock.shift(60)
        assert tokens.find(text) is None


def test_a_file_that_cannot_be_read_closes_the_service_instead_of_opening_it(tokens: Tokens, call: Any):
    tokens.create("desk", ["*"], 0, None)
    tokens.path.write_text("{")

    with pytest.raises(ConfigError, match="cannot be read"):
        Tokens(tokens.path, "ptl").all()
    assert call.get("/v1/daily?limit=1").status == 400
    assert call.tushare("daily")["code"] == -2001


def test_a_service_whose_tokens_are_all_ended_stays_closed(call: Any, tokens: Any):
    made, _ = tokens.create("desk", ["*"], 0, None)
    tokens.revoke(made.id)

    assert call.get("/v1/daily?limit=1", "any").status == 401


def test_an_unknown_id_is_not_found(tokens: Tokens):
    for change in (tokens.revoke, lambda id: tokens.rotate(id, 0, None)):
        with pytest.raises(NotFound, match="no token 'x'"):
            change("x")


@pytest.mark.parametrize("text", ["", "_", "a_b", "ptl_é_x_0", "ptl__" + "_" * 9, "ptl_\ud800_a_b", "x" * 10**6])
def test_what_is_no_token_is_refused_whatever_it_is(tokens: Tokens, text: str):
    tokens.create("desk", ["*"], 0, None)

    assert tokens.find(text) is None


def test_a_mutated_token_is_refused_even_with_the_right_check_sum(tokens: Tokens):
    _, text = tokens.create("desk", ["*"], 0, None)
    body = text.rpartition("_")[0]
    rng = random.Random(7)

    for _ in range(500):
        at = rng.randrange(4, len(body))
        changed = body[:at] + rng.choice("0aZ_") + body[at + 1 :]
        if changed != body:
            assert tokens.find(f"{changed}_{crc32(changed.encode()):08x}") is None


def test_a_bucket_gives_its_rate_and_refills_evenly():
    now = [0.0]
    limits = Limits(lambda: now[0])
    assert [limits.take("a", 3).remaining for _ in range(3)] == [2, 1, 0]

    with pytest.raises(RateLimited) as caught:
        limits.take("a", 3)
    assert caught.value.retry_after == pytest.approx(20)
    assert limits.take("b", 3).remaining == 2

    now[0] = 20.0
    assert limits.take("a", 3).remaining == 0
    now[0] = 10_000.0
    assert limits.quota("a", 3).remaining == 3


def test_a_clock_that_is_set_back_gives_no_call_and_takes_none():
    limits = Limits()
    with time_machine.travel("2026-01-01"):
        for _ in range(5):
            limits.take("a", 5)
    with time_machine.travel("2027-01-01"), pytest.raises(RateLimited):
        limits.take("a", 5)


def test_forgotten_callers_take_no_memory():
    limits = Limits(lambda: 0.0)

    for i in range(20_000):
        limits.take(f"failed {i}", 60)

    assert len(limits._buckets) <= 10_000


def test_the_commands_make_list_rotate_and_end_a_token(ptolemy: Any, home: Path):
    code, out, err = ptolemy("token", "create", "desk", "--scope", "daily", "--scope", "adj_*", "--rate", "9")
    text = out.strip()
    assert (code, text[:4]) == (0, "ptl_")
    assert "not shown again" in err

    (made,) = json.loads(ptolemy("token", "list", "--json").out)
    assert (made["name"], made["scopes"], made["rate"], made["state"]) == ("desk", ["daily", "adj_*"], 9, "valid")
    assert text.split("_")[2] not in json.dumps(made)

    rotated = json.loads(ptolemy("token", "rotate", made["id"], "--overlap", "0", "--json").out)
    assert Tokens(home / "tokens.json", "ptl").find(rotated["token"]).name == "desk"  # type: ignore[union-attr]
    assert json.loads(ptolemy("token", "revoke", rotated["id"], "--dry-run", "--json").out)["state"] == "valid"
    assert json.loads(ptolemy("token", "revoke", rotated["id"], "--json").out)["state"] == "ended"
    assert [t["state"] for t in json.loads(ptolemy("token", "list", "--json").out)] == ["ended", "ended"]


def test_a_scope_that_fits_nothing_and_an_id_that_is_none_are_said(ptolemy: Any, home: Path):
    code, _, err = ptolemy("token", "create", "desk", "--scope", "dayly")
    assert code == 2
    assert "did you mean 'daily'?" in err
    assert not home.exists() or not (home / "tokens.json").exists()

    code, _, err = ptolemy("token", "revoke", "x")
    assert code == 3
    assert "hint: ptolemy token list" in err


def test_a_token_is_kept_for_the_client_from_standard_input_or_a_file(
    ptolemy: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: Tokens
):
    _, text = tokens.create("desk", ["*"], 0, None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{text}\n"))
    code, out, err = ptolemy("token", "use")

    assert code == 0
    assert text not in out + err
    assert (home / "token").read_text() == text
    assert (home / "token").stat().st_mode & 0o077 == 0

    (tmp_path / "t").write_text(text[:-1] + ("0" if text[-1] != "0" else "1"))
    code, _, err = ptolemy("token", "use", str(tmp_path / "t"))
    assert code == 4
    assert "mistyped" in err
    assert (home / "token").read_text() == text


def test_no_command_takes_a_secret_as_an_option():
    from ptolemy.cli.token import token

    for command in token.commands.values():
        assert not {"--token", "--secret", "--password"} & {o for p in command.params for o in p.opts}


def test_the_examples_of_the_commands_work(ptolemy: Any, monkeypatch: pytest.MonkeyPatch):
    from ptolemy.cli.token import token

    known = ""
    for name in ("create", "list", "rotate", "use", "revoke"):
        words = shlex.split((token.commands[name].epilog or "").removeprefix("Example: "))
        if name == "use":
            monkeypatch.setattr(sys, "stdin", io.StringIO(known))
            words = words[: words.index("<")]
        elif name in ("rotate", "revoke"):
            ids = [t["id"] for t in json.loads(ptolemy("token", "list", "--json").out)]
            words = [ids[0] if w == "1a2b3c4d" else w for w in words]

        code, out, _ = ptolemy(*words[1:])

        assert (code, words[:3]) == (0, ["ptolemy", "token", name])
        known = out.strip() if name == "create" else known


@pytest.mark.parametrize("text", ["", "two words", "a\nb"])
def test_what_is_no_word_is_not_kept(text: str, home: Path):
    with pytest.raises(BadToken):
        pt.set_token(text)
    assert not (home / "token").exists()
