"""docker-compose.yml holds what it promises, as far as a file can show it; it is never run here.

What is compared: the compose specification's own schema (vendored, Apache-2.0, from check-jsonschema 0.39.0), the
adapters' extras, the URLs of `adapters.toml`, `.env.example`, and the versions of the drivers in the lock.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LIBRARIES = ("veda", "exia", "kyrios", "ptolemy")
WITHOUT: dict[str, str] = (_FILE := tomllib.loads((HERE / "adapters.toml").read_text())).pop("without")
ADAPTERS: dict[str, dict[str, Any]] = {
    f"{library}.{word}": row for library, rows in _FILE.items() for word, row in rows.items()
}
EXAMPLE = [line.removesuffix("=") for line in (ROOT / ".env.example").read_text().splitlines() if line[0] != "#"]

each_service = pytest.mark.parametrize("name", SERVICES)
each_adapter = pytest.mark.parametrize("adapter", ADAPTERS)


def is_job(name: str) -> bool:
    return bool(SERVICES[name]["restart"] == "no")


def published(name: str) -> dict[int, int]:
    """Return the ports that `name` publishes, those of this machine first."""
    found = {}
    for port in SERVICES[name].get("ports", []):
        _, outer, inner = port.split(":")
        found[int(outer)] = int(inner)
    return found


def test_the_file_fits_the_compose_specification():
    schema = json.loads((HERE / "compose-spec.json").read_text())

    jsonschema.Draft202012Validator(schema).validate(COMPOSE)


def test_the_schema_refuses_a_file_with_a_mistake():
    schema = json.loads((HERE / "compose-spec.json").read_text())
    wrong = {"services": {"redis": {"image": "redis:8.10.1", "helthcheck": {}}}}

    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.Draft202012Validator(schema).validate(wrong)


@each_service
def test_an_image_is_pinned_to_one_version(name):
    image, _, tag = SERVICES[name]["image"].rpartition(":")

    assert image
    # Three numbers at least, or the day of a MinIO release: `8`, `8.4` and `latest` move.
    assert re.fullmatch(r"v?\d+\.\d+\.\d+(-[\w.]+)?|RELEASE\.[\dTZ-]+|17\.\d+", tag), tag


@each_service
def test_a_server_has_a_health_check_and_a_job_ends(name):
    service = SERVICES[name]

    if is_job(name):
        assert "healthcheck" not in service
        assert "ports" not in service
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["healthcheck"]["retries"] > 1


@each_service
def test_every_port_is_on_loopback(name):
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "network_mode" not in SERVICES[name]


def test_no_two_services_want_the_same_port_nor_one_of_ours():
    wanted = [port for name in SERVICES for port in published(name)]

    assert len(wanted) == len(set(wanted))
    assert not {8000, 8100, 8200, 8300} & set(wanted)


@each_service
def test_memory_is_limited_and_logs_do_not_grow(name):
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])
    assert SERVICES[name]["logging"]["options"]["max-size"]


@each_service
def test_nothing_starts_without_a_profile(name):
    assert SERVICES[name]["profiles"]
    assert set(SERVICES[name]["profiles"]) <= {*LIBRARIES, "airflow", "alluxio"}


@each_service
def test_what_a_service_waits_for_starts_in_its_profiles_too_and_is_waited_for_rightly(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert set(SERVICES[name]["profiles"]) <= set(SERVICES[needed]["profiles"])
        assert how["condition"] == ("service_completed_successfully" if is_job(needed) else "service_healthy")


def test_every_volume_is_named_and_used():
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume[0] != "$"
    }

    assert used == set(COMPOSE["volumes"])


def test_every_secret_is_asked_for_with_the_way_to_get_it():
    asked = re.findall(r"(?<!\$)\$\{([A-Z_]+)(:\?[^}]+)?", TEXT)

    assert {name for name, _ in asked if name != "KYRIOS_DAGS"} == set(EXAMPLE)
    assert {how for name, how in asked if name != "KYRIOS_DAGS"} == {":?run scripts/services env"}


def test_no_password_is_written_into_the_file():
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"(PASSWORD|TOKEN|SECRET|_KEY|_AUTH)$", key):
                assert str(value).startswith("${") or value == "yes", f"{name}: {key}"


def test_every_adapter_with_an_extra_is_mapped_or_needs_no_service():
    extras = set()
    for library in LIBRARIES:
        project = tomllib.loads((ROOT / "packages" / library / "pyproject.toml").read_text())["project"]
        extras |= {f"{library}.{word}" for word in project["optional-dependencies"]}

    assert extras == {*ADAPTERS, *WITHOUT}


def test_every_service_serves_an_adapter():
    mapped = {name for row in ADAPTERS.values() for name in row["services"]}

    assert mapped == set(SERVICES)


@each_adapter
def test_the_profile_of_a_library_starts_all_that_its_adapter_needs(adapter):
    library, _, word = adapter.partition(".")
    profile = word if word in {"airflow", "alluxio"} else library

    for name in ADAPTERS[adapter]["services"]:
        assert profile in SERVICES[name]["profiles"], name


@each_adapter
def test_the_url_of_an_adapter_leads_to_a_published_port_with_known_secrets(adapter):
    url = ADAPTERS[adapter].get("url")
    if url is None:
        assert adapter == "kyrios.airflow"
        return
    for variable in re.findall(r"\$\{(\w+)\}", url):
        assert variable in EXAMPLE
    address = urlsplit(re.sub(r"\$\{\w+\}", "secret", url))

    assert address.hostname == "127.0.0.1"
    assert address.port in {port for name in ADAPTERS[adapter]["services"] for port in published(name)}


@pytest.mark.parametrize(
    ("service", "driver", "numbers"),
    [
        ("ray", "ray", 3),
        ("dask-scheduler", "dask", 3),
        ("mlflow", "mlflow-skinny", 2),
        ("elasticsearch", "elasticsearch", 1),
    ],
)
def test_a_server_has_the_version_that_its_driver_in_the_lock_wants(service, driver, numbers):
    locked = next(p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"] if p["name"] == driver)["version"]
    tag = SERVICES[service]["image"].rpartition(":")[2].removeprefix("v").partition("-")[0]

    assert tag.split(".")[:numbers] == locked.split(".")[:numbers]


def test_kibana_and_elasticsearch_are_of_one_version():
    tags = {SERVICES[n]["image"].rpartition(":")[2] for n in ("elasticsearch", "elasticsearch-init", "kibana")}

    assert len(tags) == 1


def test_fresh_secrets_are_written_once_and_for_the_user_alone(tmp_path):
    target = tmp_path / ".env"
    command = [sys.executable, ROOT / "scripts" / "services", "env", "--output", target]

    first = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    values = dict(line.split("=", 1) for line in target.read_text().splitlines() if line[0] != "#")
    assert (first.returncode, second.returncode) == (0, 5)
    assert "hint:" in second.stderr
    assert sorted(values) == sorted(EXAMPLE)
    assert len(set(values.values())) == len(values)
    assert all(len(value) >= 32 for value in values.values())
    assert uuid.UUID(values["CONSUL_TOKEN"])
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@each_service
def test_the_reference_names_every_service(name):
    page = (ROOT / "docs" / "reference" / "services.md").read_text()

    assert f"`{name}`" in page


@pytest.mark.parametrize(
    "profile", sorted({profile for service in SERVICES.values() for profile in service["profiles"]})
)
def test_the_reference_says_how_much_memory_a_profile_may_take(profile):
    page = (ROOT / "docs" / "reference" / "services.md").read_text()
    stated = re.search(rf"^\| `{profile}` \|.*\| ([\d.]+) GB \|$", page, re.MULTILINE)
    limits = [s["mem_limit"] for n, s in SERVICES.items() if profile in s["profiles"] and not is_job(n)]
    megabytes = sum(int(limit[:-1]) * (1024 if limit[-1] == "g" else 1) for limit in limits)

    assert stated
    assert float(stated.group(1)) == pytest.approx(megabytes / 1024, abs=0.26)
