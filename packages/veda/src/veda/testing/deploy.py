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
        done = deploy.perform(first, names)
        again = deploy.perform(first, names)
        upgraded = deploy.perform(second, names)
        back = deploy.perform(Order("rollback", "research"), names)

        assert [r.host for r in done] == names
        assert all(r.ok for reports in (plan, done, again, upgraded, back) for r in reports)
        # The plan says what the deployment does, and does nothing.
        assert [(r.changed, r.data["diff"]) for r in plan] == [(r.changed, r.data["diff"]) for r in done]
        assert [(r.changed, r.data["generation"]) for r in done] == [(True, 1)] * len(names)
        assert [(r.changed, r.data["generation"]) for r in again] == [(False, 1)] * len(names)
        assert [(r.changed, r.data["generation"]) for r in upgraded] == [(True, 2)] * len(names)
        assert [(r.changed, r.data["generation"]) for r in back] == [(True, 1)] * len(names)
        assert [r.data["lock"] for r in back] == [r.data["lock"] for r in done]

    def test_a_command_runs_as_it_is_written_and_is_told_as_it_comes(self, deploy: Deploy) -> None:
        names = [h.name for h in deploy.hosts()]
        told: list[str] = []

        order = Order("run", argv=("echo", "{{ 1 + 1 }} 'x' $HOME"))
        said = deploy.perform(order, names, on_report=lambda r: told.append(r.host))

        assert [(r.host, r.ok, r.data["stdout"]) for r in said] == [(n, True, "{{ 1 + 1 }} 'x' $HOME\n") for n in names]
        assert sorted(told) == sorted(names)

    @pytest.mark.parametrize(
        ("order", "reason"),
        [(Order("run", argv=("false",)), "exit code 1"), (Order("rollback", "nothing"), "'nothing'")],
        ids=["a command that fails", "an environment that is not there"],
    )
    def test_what_cannot_be_done_is_a_report_with_the_reason(self, deploy: Deploy, order: Order, reason: str) -> None:
        report = deploy.perform(order, [deploy.hosts()[0].name])[0]

        assert (report.ok, report.reached, reason in report.message) == (False, True, True), report

    def test_a_host_that_nobody_knows_is_not_found(self, deploy: Deploy) -> None:
        with pytest.raises(NotFound, match="nobody"):
            deploy.hosts("nobody")
