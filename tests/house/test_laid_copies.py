from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "scripts" / "house"
LIBRARIES = ["veda", "exia", "kyrios", "ptolemy", "jiyuan"]

# Words of the four libraries' domains; the house serves all five and may know none of them.
# ("bar" and "task" are missing on purpose: a progress bar has them too.)
DOMAIN = {
    "package", "release", "registry", "yank", "environment", "pool", "lease", "oid", "experiment", "flow", "dag",
    "engine", "template", "ticker", "ts_code", "trade_date", "measurement", "veda", "exia", "kyrios",
    "ptolemy", "clickhouse", "minio", "mongodb", "redis", "airflow", "influxdb",
}  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_holds_the_same_bytes_as_the_source(library):
    laid = ROOT / "packages" / library / "src" / library / "_house"

    copies = {p.name: p.read_bytes() for p in laid.glob("*.py")}

    assert copies == {p.name: p.read_bytes() for p in SOURCE.glob("*.py")}, "run: make house"


def test_the_house_stays_under_600_lines_of_code():
    assert sum(len(_code_lines(p.read_text(encoding="utf-8"))) for p in SOURCE.glob("*.py")) < 600


def test_the_house_imports_the_standard_library_and_itself_and_click_and_rich_only_for_commands():
    for path in SOURCE.glob("*.py"):
        allowed = {"click", "rich"} if path.name == "command.py" else set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            tops = {n.partition(".")[0] for n in names}

            assert tops <= sys.stdlib_module_names | allowed, f"{path.name} imports {tops}"


def test_the_house_knows_no_domain_word():
    known = {}
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name | ast.arg | ast.FunctionDef | ast.ClassDef | ast.Attribute):
                names = [str(getattr(node, key, "")) for key in ("id", "arg", "name", "attr")]
                words = set("_".join(names).lower().split("_"))
                known.update(dict.fromkeys(words & DOMAIN, path.name))

    assert not known


def _code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold code: no blank line, no comment, no docstring."""
    docs: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs.update(range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1))
    idle = {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in idle:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docs
