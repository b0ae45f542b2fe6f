from __future__ import annotations

import io
import json

import pytest

from veda._house.output import display_width, json_text, pad, paint, print_record, print_records


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_is_aligned_also_under_chinese_text(capsys):
    rows: list[dict[str, str | None]] = [{"name": "动量", "note": "x"}, {"name": "abc", "note": None}]

    print_records(rows, ["name", "note"], as_json=False)

    assert capsys.readouterr().out == "NAME  NOTE\n动量  x\nabc   -\n"


def test_as_json_a_table_holds_all_keys_and_chinese_stays_readable(capsys):
    print_records([{"name": "动量", "size": 1}], ["name"], as_json=True)

    out = capsys.readouterr().out
    assert json.loads(out) == [{"name": "动量", "size": 1}]
    assert "动量" in out


def test_no_records_are_a_heading_or_an_empty_array(capsys):
    print_records([], ["name"], as_json=False)
    print_records([], ["name"], as_json=True)

    assert capsys.readouterr().out == "NAME\n[]\n"


def test_one_record_prints_as_aligned_lines(capsys):
    print_record({"name": "m", "tags": ["a", "b"], "size": {"bytes": 1}, "none": None}, as_json=False)

    assert capsys.readouterr().out == "name  m\ntags  a, b\nsize  bytes=1\nnone  -\n"


def test_control_characters_in_data_do_not_reach_the_terminal(capsys):
    print_record({"name": "\x1b[31mred\n\x07"}, as_json=False)

    assert capsys.readouterr().out == "name  �[31mred��\n"


def test_numbers_that_json_lacks_are_null_at_any_depth():
    assert json.loads(json_text({"a": [float("nan"), 1.5], "b": {"c": float("inf")}})) == {
        "a": [None, 1.5],
        "b": {"c": None},
    }


def test_a_numpy_number_stays_a_number():
    numpy = pytest.importorskip("numpy")

    assert json.loads(json_text({"a": numpy.int64(3), "b": numpy.float32("nan"), "c": numpy.bool_(True)})) == {
        "a": 3,
        "b": None,
        "c": True,
    }


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("动量", 4), ("a动", 3), ("", 0), ("ﾊ", 1), ("Ａ", 2)])
def test_width_counts_terminal_columns(text, width):
    assert display_width(text) == width
    assert display_width(pad(text, 6)) == 6


def test_colour_is_for_terminals_and_no_color_wins(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    assert paint("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert paint("x", "red", io.StringIO()) == "x"

    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red", Terminal()) == "x"
