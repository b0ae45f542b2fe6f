from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.docs.blocks import Block, Runner, blocks
from tests.docs.test_chinese import CHINESE

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("packages/*/README.md"),
        *(p for p in ROOT.glob("docs/**/*.md") if "_build" not in p.parts),
        *ROOT.glob("examples/**/*.md"),
    ]
)
# The reference is written from the code: its examples are run as the commands' own. A Chinese page has the blocks of
# its English one, to the letter: test_chinese.py says so.
TO_RUN = [
    page
    for page in PAGES
    if ROOT / "docs" / "reference" not in page.parents
    and page not in CHINESE
    and any(block.runs for block in blocks(page.read_text(encoding="utf-8")))
]
#: What a page asks its reader to have beside the five commands.
NEEDS = {
    "packages/kyrios/README": ["curl"],
    "your-own-tushare": ["uv"],
    "pack-and-roll-out": ["uv", "ansible-playbook"],
    "nightly-training-on-airflow": ["airflow"],
}
#: And the drivers that its commands import.
DRIVERS = {"choose-where-tables-lie": "alluxiofs"}
#: Where commands are found: this environment's, then the reader's, then Airflow's own, which has many of the same name.
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(ROOT / ".venv-airflow" / "bin")])


@pytest.mark.parametrize("page", TO_RUN, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_of_the_page_does_what_it_shows(page, tmp_path):
    needed = next((NEEDS[name] for name in NEEDS if str(page.with_suffix("")).endswith(f"/{name}")), [])
    for program in needed:
        if shutil.which(program, path=PROGRAMS) is None:
            how = "scripts/services install, scripts/install servers, scripts/install-airflow, apt-get install curl"
            pytest.skip(f"the page uses {program}; run: {how}")
    driver = DRIVERS.get(page.stem)
    if driver and find_spec(driver) is None:
        pytest.skip(f"the page uses {driver}; run: scripts/install servers")
    runner = _runner(tmp_path, _place(page, tmp_path / "work"))

    for block in blocks(_with_free_ports(page.read_text(encoding="utf-8"))):
        if block.runs:
            try:
                runner.run(block)
            except AssertionError as exc:
                pytest.fail(f"{page.relative_to(ROOT)}:{block.line}: {exc}", pytrace=False)


def _with_free_ports(text):
    """Replace each port that a page serves at: somebody else on this machine may read the same page."""
    for port in set(re.findall(r"--port ([1-9]\d*)", text)):
        with socket.create_server(("127.0.0.1", 0)) as free:
            text = re.sub(rf"\b{port}\b", str(free.getsockname()[1]), text)
    return text


def _place(page, work):
    """Return the folder in which a reader of `page` stands."""
    if page.parent == ROOT or page.name == "index.md":  # these pages speak to somebody in a clone, and this is one
        return ROOT
    work.mkdir()
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", work / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return work / page.relative_to(ROOT).parent if "examples" in page.parts else work


def _runner(tmp_path, folder):
    passed_on = ("LANG", "LC_ALL", "SSL_CERT_FILE", "TMPDIR", "UV_CACHE_DIR", "UV_SYSTEM_CERTS", "CI")
    kept = {k: v for k, v in os.environ.items() if k in passed_on}
    kept.setdefault("UV_CACHE_DIR", str(Path(os.environ.get("HOME", "~")).expanduser() / ".cache" / "uv"))
    env = kept | {
        "HOME": str(tmp_path),
        "PATH": PROGRAMS,
        # An example's own code lies in its src, as its package has it.
        "PYTHONPATH": str(folder / "src"),
        # `make test` on a page runs the real thing, as far as it can inside of itself.
        "PYTEST_ADDOPTS": "-p no:cacheprovider tests/house/test_ids.py -k test_ids",
    }
    return Runner(folder, tmp_path / "state", env)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_names_its_language_and_every_one_left_out_has_a_reason(page):
    for block in blocks(page.read_text(encoding="utf-8")):
        assert block.language, f"line {block.line}: write the language, or text"
        assert block.language not in ("sh", "shell", "py", "zsh"), f"line {block.line}: write bash, console or python"
        assert block.language != "console" or "$ " in block.text, f"line {block.line}: begin each command with '$ '"
        assert block.not_run is None or len(block.not_run) > 10, f"line {block.line}: say why it is not run"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_into_this_checkout_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)

    dead = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.partition("#")[0]).exists()
    ]

    assert not dead


def test_a_console_block_is_compared_with_what_its_commands_print(tmp_path):
    runner = _runner(tmp_path, tmp_path)
    page = "```console\n$ export WORD=one\n$ echo $WORD \\\n> two\none two\n$ seq 9\n1\n...\n9\n```\n"

    runner.run(blocks(page)[0])

    with pytest.raises(AssertionError, match="printed"):
        runner.run(blocks(page.replace("one two", "one three"))[0])


def test_blocks_of_all_kinds_run_and_a_failing_one_is_seen(tmp_path):
    runner = _runner(tmp_path, tmp_path)

    runner.run(Block("python", ">>> 1 + 1\n2\n>>> [3] * 20\n[3, ...]", 1, None))
    runner.run(Block("bash", "mkdir 'he re'\ncd 'he re'", 1, None))
    runner.run(Block("bash", '[ "$(basename "$PWD")" = "he re" ]', 1, None))
    runner.run(Block("python", "from pathlib import Path\nassert Path.cwd().name == 'he re'", 1, None))

    for text, language in [(">>> 1 + 1\n3", "python"), ("raise SystemExit(3)", "python"), ("false\ntrue", "bash")]:
        with pytest.raises(AssertionError):
            runner.run(Block(language, text, 1, None))


def test_a_block_that_begins_with_a_path_is_that_file(tmp_path):
    runner = _runner(tmp_path, tmp_path)

    runner.run(Block("toml", "# a/b.toml\n[one]\ntwo = 'three'", 1, None))

    assert (tmp_path / "a" / "b.toml").read_text() == "[one]\ntwo = 'three'\n"


def test_a_block_is_left_out_only_by_the_marker_right_above_it():
    page = "<!-- not run: needs a server -->\n\n```bash\na\n```\n\ntext\n\n```bash\nb\n```\n"

    assert [(b.text, b.not_run) for b in blocks(page)] == [("a", "needs a server"), ("b", None)]
