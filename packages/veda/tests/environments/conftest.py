from __future__ import annotations

from pathlib import Path

import pytest

import veda


def _publish(
    folder: Path, name: str, version: str, *packages: str, requires: tuple[str, ...] = (), to: str = ""
) -> str:
    """Pack and register a package that says its version, push it if `to` is a store, and return its reference."""
    root = folder / f"{name}-{version}"
    code = root / "src" / name
    code.mkdir(parents=True)
    (code / "__init__.py").write_text(f"class Algorithm:\n    def version(self):\n        return {version!r}\n")
    (root / "veda.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "{version}"\nlicense = "MIT"\nrequires = {list(requires)!r}\n'
        f'packages = {list(packages)!r}\n\n[entry-points]\ndefault = "{name}:Algorithm"\n'
    )
    package = veda.pack(root, folder / f"{name}-{version}.vedapkg")
    veda.register(package)
    if to:
        veda.push(package, to)
    return f"{name}@{version}"


def _wheel(folder: Path, name: str, version: str, script: str = "") -> Path:
    """Write the smallest wheel there is, with a console script if one is named."""
    import zipfile

    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n\n\ndef main():\n    print({name!r}, VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{info}/entry_points.txt": f"[console_scripts]\n{script} = {name}:main\n"} if script else {}),
    }
    record = "".join(f"{p},,\n" for p in (*files, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(inner, text)
    return path


@pytest.fixture
def publish(tmp_path):
    """Give a function that publishes a package and returns its reference."""
    return lambda *words, **more: _publish(tmp_path / "packages", *words, **more)


@pytest.fixture
def wheel(tmp_path):
    """Give a function that writes a wheel into a folder of wheels, and returns the folder."""

    def make(*words):
        return _wheel(tmp_path / "wheels", *words).parent

    return make


@pytest.fixture
def family(publish):
    """Publish packages that need one another: alpha and beta share common, in more or less old versions."""
    publish("common", "1.0")
    publish("common", "2.0")
    publish("alpha", "1.0", "common<2")
    publish("beta", "0.9", "common>=1")
    publish("beta", "1.0", "common>=2")
