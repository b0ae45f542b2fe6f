from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_every_block_of_the_readme_runs_and_prints_what_it_says(tmp_path: Path):
    (shell, *later), (python,), (printed,) = blocks("bash"), blocks("python"), blocks("text")
    commands = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    ran = subprocess.run(
        ["bash", "-ec", shell], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, env=environment, check=True)
    for block in later:
        subprocess.run(["bash", "-ec", block], cwd=tmp_path, env=environment, check=True)

    assert ran.stdout.endswith(printed)


def test_the_mapping_of_the_readme_fits_the_real_file(stocks: Path, tmp_path: Path):
    import ptolemy as pt

    (mapping,) = blocks("toml")
    (tmp_path / "stocks.toml").write_text(mapping)

    collected = pt.collect(f"csv://{stocks}?mapping=stocks.toml")

    assert sorted(tomllib.loads(mapping)) == [c.dataset for c in collected] == ["adj_factor", "daily"]
