"""Two hundred typing mistakes, made by machine in the files of a flow: each is found, with its file and line."""

from __future__ import annotations

import random
import re

import pytest

import kyrios

FLOW = """
kyrios: 1
flow: sums
info: {version: "1.0", summary: "Numbers, doubled and added.", owner: "team", tags: [one]}
schedule: {cron: "0 18 * * *", tz: UTC}
params: {first: 1, mode: fast}
defaults: {retries: 1, timeout: 5m}
units:
  numbers: {use: numbers@1, with: {first: "${params.first}"}, retries: 2, retry_delay: 1s}
  double: {use: double@1, in: {numbers: numbers.numbers}, if: numbers.numbers.n > 0}
  again: {use: double@1, in: {numbers: numbers.numbers}, after: [double], when: all_done, group: late}
  both: {use: both@1, in: {left: double.numbers, right: again.numbers}}
  chosen: {branch: {on: params.mode, cases: {fast: double@1}}, in: {numbers: numbers.numbers}}
  passed: {gate: chosen.numbers, if: params.mode == "fast"}
  kept: {select: [passed.numbers, numbers.numbers]}
fuse: none
"""
#: Words that mean something: a mistyped one must be noticed. Free texts, such as a summary, may be anything.
WORDS = {
    "flow.yaml": [
        "kyrios", "flow", "info", "version", "summary", "owner", "tags", "schedule", "cron", "tz", "UTC", "params",
        "defaults", "retries", "timeout", "units", "use", "with", "in", "if", "after", "when", "group", "branch", "on",
        "cases", "gate", "select", "fuse", "none", "retry_delay", "all_done", "numbers@1", "double@1", "both@1",
        "numbers.numbers", "double.numbers", "again.numbers", "chosen.numbers", "passed.numbers", "left", "right",
        "params.first", "params.mode", "numbers.numbers.n", "5m", "1s",
    ],
    "units/numbers.yaml": [
        "kyrios", "unit", "info", "version", "summary", "run", "call", "interface", "params", "outputs", "type",
        "integer", "number", "default", "table", "columns", "int64", "units:numbers", "factor",
    ],
    "units/double.yaml": [
        "kyrios", "unit", "info", "version", "run", "call", "interface", "inputs", "outputs", "table", "int64",
        "units:double",
    ],
}  # fmt: skip
SEED = 20261123
COUNT = 200


def mistyped(word, dice):
    """Return `word` with two letters swapped, one left out, one doubled or one changed."""
    at = dice.randrange(len(word))
    letter = dice.choice("qxzjk")
    kinds = [word[:at] + word[at + 1 :], word[:at] + letter + word[at + 1 :], word[:at] + letter + word[at:]]
    if at + 1 < len(word):
        kinds.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    made = dice.choice(kinds)
    return made if made not in (word, "") else word + letter


def test_every_one_of_200_typing_mistakes_is_named_with_its_file_and_line(sums):
    dice = random.Random(SEED)
    sums.flow(FLOW)
    whole = {name: (sums.folder / name).read_text() for name in WORDS}
    kyrios.load_flow(sums)
    missed, made = [], 0
    while made < COUNT:
        name = dice.choice(sorted(WORDS))
        word = dice.choice(WORDS[name])
        places = [m.start() for m in re.finditer(rf"(?<![\w.@]){re.escape(word)}(?![\w.@])", whole[name])]
        if not places:
            continue
        at, wrong = dice.choice(places), mistyped(word, dice)
        text = whole[name][:at] + wrong + whole[name][at + len(word) :]
        line = text[:at].count("\n") + 1
        if re.fullmatch(r"\d+(ms|s|m|h|d)", wrong):
            continue  # another duration is no mistake
        made += 1
        (sums.folder / name).write_text(text)
        try:
            kyrios.load_flow(sums)
        except kyrios.FlowInvalid as exc:
            if not all(p.file and p.line >= 1 and p.column >= 1 for p in exc.problems):
                missed.append((name, line, word, wrong, "no place"))
        else:
            missed.append((name, line, word, wrong, "not noticed"))
        (sums.folder / name).write_text(whole[name])

    assert missed == []


@pytest.mark.parametrize("word", ["retries", "fuse", "after", "with"])
def test_a_mistyped_key_is_named_on_its_own_line_with_the_right_word(sums, word):
    sums.flow(FLOW.replace(f"{word}:", f"{word[:-1]}{word[-1]}q:", 1))

    with pytest.raises(kyrios.FlowInvalid) as caught:
        kyrios.load_flow(sums)

    problem = caught.value.problems[0]
    assert f"did you mean {word!r}?" in str(problem)
    assert f"{word}q:" in problem.source
