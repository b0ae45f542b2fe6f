"""What every registry promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from veda.errors import NotFound, ReleaseExists
from veda.registry.port import Event, Query, Registry, Release

_A, _B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
_FACTS = {"summary": "动量", "requires": ["numpy>=1.26"], "entry_points": []}
MOMENTUM = Release("momentum", "1.2.0", _A, _FACTS)


class RegistryContract:
    """Give a `registry` fixture that opens an empty registry."""

    def test_a_release_comes_back_as_it_was_published(self, registry: Registry) -> None:
        registry.publish(MOMENTUM)

        found = registry.get("momentum", "1.2.0")

        assert (found, dict(found.facts)) == (MOMENTUM, _FACTS)

    def test_a_release_is_never_overwritten(self, registry: Registry) -> None:
        registry.publish(MOMENTUM)

        with pytest.raises(ReleaseExists, match=r"momentum@1\.2\.0"):
            registry.publish(Release("momentum", "1.2.0", _B, {**_FACTS, "summary": "other"}))
        assert registry.get("momentum", "1.2.0") == MOMENTUM

    def test_publishing_the_same_content_again_changes_nothing(self, registry: Registry) -> None:
        registry.publish(MOMENTUM)
        registry.publish(Release("momentum", "1.2.0", _A, {**_FACTS, "summary": "built elsewhere"}))

        assert [dict(r.facts) for r in registry.releases()] == [_FACTS]

    def test_what_was_never_published_is_not_found(self, registry: Registry) -> None:
        with pytest.raises(NotFound, match=r"momentum@1\.2\.0"):
            registry.get("momentum", "1.2.0")
        assert registry.releases() == []
        assert registry.releases("momentum") == []
        assert registry.find(_A) == []

    def test_releases_come_in_the_order_of_publication(self, registry: Registry) -> None:
        for version in ("1.10.0", "1.9.0", "2.0rc1"):
            registry.publish(Release("momentum", version, _A, _FACTS))
        registry.publish(Release("pairs", "1.0", _B, _FACTS))

        assert [r.version for r in registry.releases("momentum")] == ["1.10.0", "1.9.0", "2.0rc1"]
        assert [r.name for r in registry.releases()] == ["momentum"] * 3 + ["pairs"]

    def test_a_digest_finds_all_its_releases(self, registry: Registry) -> None:
        registry.publish(MOMENTUM)
        registry.publish(Release("momentum", "1.3.0", _B, _FACTS))
        registry.publish(Release("renamed", "1.0", _A, _FACTS))

        assert [str(r) for r in registry.find(_A)] == ["momentum@1.2.0", "renamed@1.0"]

    def test_a_tag_points_to_where_it_was_last_put(self, registry: Registry) -> None:
        registry.publish(MOMENTUM)
        registry.publish(Release("momentum", "1.3.0", _B, _FACTS))

        for tag, version in (("champion", "1.2.0"), ("challenger", "1.3.0"), ("champion", "1.3.0")):
            registry.tag("momentum", tag, version)

        assert dict(registry.tags("momentum")) == {"challenger": "1.3.0", "champion": "1.3.0"}
        assert dict(registry.tags("pairs")) == {}

    def test_a_tag_needs_a_release(self, registry: Registry) -> None:
        with pytest.raises(NotFound):
            registry.tag("momentum", "champion", "9.9")
        assert dict(registry.tags("momentum")) == {}

    def test_of_many_writers_of_one_version_one_wins(self, registry: Registry) -> None:
        def publish(n: int) -> bool:
            try:
                registry.publish(Release("momentum", "1.2.0", f"sha256:{n:064x}", _FACTS))
            except ReleaseExists:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = [n for n, success in enumerate(pool.map(publish, range(32))) if success]

        assert [f"sha256:{n:064x}" for n in won] == [r.digest for r in registry.releases()]

    def test_events_come_back_as_they_were_appended_each_once(self, registry: Registry) -> None:
        registry.publish(MOMENTUM)
        event = Event("deployed", "momentum", "1.2.0", "host-1", "alice", {"digest": _A, "原因": "每日"})

        registry.append(event)
        registry.append(event)

        assert registry.events("momentum", "deployed") == [event]
        assert dict(registry.events(kind="deployed")[0].data) == {"digest": _A, "原因": "每日"}
        assert [e.kind for e in registry.events("momentum")] == ["published", "deployed"]
        assert registry.events("pairs") == []

    def test_an_event_needs_a_release(self, registry: Registry) -> None:
        with pytest.raises(NotFound):
            registry.append(Event("yanked", "momentum", "9.9"))
        assert registry.events() == []

    def test_a_yank_stands_until_it_is_taken_back(self, registry: Registry) -> None:
        for version in ("1.2.0", "1.3.0"):
            registry.publish(Release("momentum", version, _A, _FACTS))

        registry.append(Event("yanked", "momentum", "1.2.0", data={"reason": "wrong sign"}))
        registry.append(Event("yanked", "momentum", "1.3.0", data={"reason": "leaks"}))
        registry.append(Event("unyanked", "momentum", "1.3.0"))

        assert dict(registry.yanked("momentum")) == {"1.2.0": "wrong sign"}
        assert [r.version for r in registry.releases("momentum")] == ["1.2.0", "1.3.0"]

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            (Query(), ["pairs", "momentum"]),
            (Query(text="cointegr"), ["pairs"]),
            (Query(text="SPREAD of"), ["pairs"]),
            (Query(text="动量"), ["momentum"]),
            (Query(text="动"), ["momentum"]),
            (Query(text='100% "x'), []),
            (Query(name="mom*"), ["momentum"]),
            (Query(name="pairs"), ["pairs"]),
            (Query(method="signal"), ["pairs", "momentum"]),
            (Query(method="hedge"), ["pairs"]),
            (Query(parameter="lookback"), ["momentum"]),
            (Query(author="Ada Li"), ["momentum"]),
            (Query(uses="Stats_Models"), ["pairs"]),
            (Query(tag="champion"), ["momentum"]),
            (Query(since="2026-02-01"), ["pairs"]),
            (Query(until="2026-01-31"), ["momentum"]),
            (Query(since="2026-02-01T08:00:00+08:00"), ["pairs"]),
            (Query(text="signal", method="hedge"), ["pairs"]),
            (Query(method="hedge", author="Ada Li"), []),
            (Query(limit=1), ["pairs"]),
        ],
    )
    def test_a_search_finds_what_fits_all_that_it_asks_for(
        self, registry: Registry, query: Query, names: list[str]
    ) -> None:
        registry.publish(
            _searched("momentum", "动量 of prices", "Ada Li", "lookback", ["signal"], "numpy>=1.26", "01-31")
        )
        registry.publish(
            _searched(
                "pairs", "Spread of cointegrated pairs", "Bo", "window", ["hedge", "signal"], "stats.models", "02-01"
            )
        )
        registry.tag("momentum", "champion", "1.0")

        assert [r.name for r in registry.search(query)] == names

    def test_a_search_gives_the_last_of_each_package_and_all_of_one_that_is_named(self, registry: Registry) -> None:
        for version in ("1.0", "1.1"):
            registry.publish(Release("momentum", version, _A, _FACTS))

        assert [str(r) for r in registry.search(Query(text="动量"))] == ["momentum@1.1"]
        assert [str(r) for r in registry.search(Query(name="momentum"))] == ["momentum@1.1", "momentum@1.0"]


def _searched(
    name: str, summary: str, author: str, parameter: str, methods: list[str], requires: str, day: str
) -> Release:
    point = {
        "name": "default",
        "target": f"{name}:C",
        "summary": "",
        "methods": {m: {"signature": "()", "summary": ""} for m in methods},
        "parameters": {"properties": {parameter: {}}},
    }
    facts = {"summary": summary, "authors": [author], "requires": [requires], "entry_points": [point]}
    return Release(name, "1.0", _A, facts, f"2026-{day}T10:00:00.000+00:00")
