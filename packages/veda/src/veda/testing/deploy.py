"""What every way to hosts promises."""

from __future__ import annotations

import pytest

from veda.deploy import Deploy, Order
from veda.errors import NotFound


class DeployContract:
    """Give fixtures `deploy` (hosts with empty homes), `store` (a URL that they see) and `locks` (two, as texts)."""

    def test_a_host_is_brought_to_a_lock_once_and_goes_back(
        self, deploy: Deploy, store: str, locks: tuple[str, str]
    ) -> None:
        names = [h.name for h in deploy.hosts()]
        first = Order("deploy", "research", lock=locks[0], store=store)
        second = Order("deploy", "research", lock=locks[1], store=store)

        plan = deploy.perform(first, names, check=True)
        nothing_yet = deploy.perform(Order("status"), names)
        done = deploy.perform(first, names)
        again = deploy.perform(first, names)
        upgraded = deploy.perform(second, names)
        back = deploy.perform(Order("rollback", "research"), names)

        assert [r.host for r in done] == names
        assert all(r.ok for reports in (plan, nothing_yet, done, again, upgraded, back) for r in reports)
        # The plan says what the deployment does, and does nothing.
        assert [(r.changed, r.data["diff"]) for r in plan] == [(r.changed, r.data["diff"]) for r in done]
        assert [r.data["environments"] for r in nothing_yet] == [[]] * len(names)
        assert [(r.changed, r.data["generation"]) for r in done] == [(True, 1)] * len(names)
        assert [(r.changed, r.data["generation"]) for r in again] == [(False, 1)] * len(names)
        assert [(r.changed, r.data["generation"]) for r in upgraded] == [(True, 2)] * len(names)
        assert [(r.changed, r.data["generation"]) for r in back] == [(True, 1)] * len(names)
        assert [r.data["lock"] for r in back] == [r.data["lock"] for r in done]

    def test_a_command_runs_on_every_host_and_its_failure_is_a_report(self, deploy: Deploy) -> None:
        names = [h.name for h in deploy.hosts()]

        said = deploy.perform(Order("run", argv=("echo", "{{ 1 + 1 }} 'x' $HOME")), names)
        failed = deploy.perform(Order("run", argv=("false",)), names)

        assert [(r.ok, r.data["stdout"]) for r in said] == [(True, "{{ 1 + 1 }} 'x' $HOME\n")] * len(names)
        assert [(r.ok, r.reached) for r in failed] == [(False, True)] * len(names)

    def test_what_cannot_be_done_is_a_report_with_the_reason(self, deploy: Deploy) -> None:
        names = [h.name for h in deploy.hosts()]

        reports = deploy.perform(Order("rollback", "nothing"), names)

        assert [(r.ok, r.reached) for r in reports] == [(False, True)] * len(names)
        assert all("nothing" in r.message for r in reports)

    def test_each_report_is_told_as_it_comes(self, deploy: Deploy) -> None:
        names = [h.name for h in deploy.hosts()]
        told: list[str] = []

        reports = deploy.perform(Order("ping"), names, on_report=lambda r: told.append(r.host))

        assert sorted(told) == sorted(r.host for r in reports) == sorted(names)

    def test_a_host_that_nobody_knows_is_not_found(self, deploy: Deploy) -> None:
        with pytest.raises(NotFound, match="nobody"):
            deploy.hosts("nobody")
