"""The runner: runs begin in their turn, end in a state of their own, and are told to stop.

On each engine of the state store; what survives a process is in `test_leftovers.py`, who may be the
runner in `test_lease.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar.errors import Conflict, Invalid, NotFound, Overloaded, Reason
from bursar.scheduling.asking import QUEUED_LIMIT
from bursar.scheduling.at_work import LIVE_LIMIT, RUNS_AT_ONCE
from bursar.scheduling.run import RunState, Trigger
from bursar.scheduling.store import RunAsk
from tests.support.jobs import House, a_job, pulse_until_ended, wait_for_state
from tests.support.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.scheduling.job import RunContext
    from bursar.scheduling.run import Run


def test_a_run_is_begun_and_its_result_kept(house: House) -> None:
    runner = house.runner(a_job(work=lambda context: {"asked": dict(context.parameters)}))
    run = runner.enqueue("sweep", parameters={"deep": True}, asked_by="key_1")
    assert (run.state, run.trigger, run.asked_by) == (RunState.QUEUED, Trigger.REQUEST, "key_1")
    ended = pulse_until_ended(runner, run)
    assert ended.state is RunState.SUCCEEDED
    assert ended.result == {"asked": {"deep": True}}
    assert (ended.attempts, ended.started_at, ended.finished_at) == (1, house.clock.at, house.clock.at)


def test_progress_is_seen_while_the_work_goes_on_and_kept_after_it(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work))
    run = runner.enqueue("sweep")
    runner.pulse()
    wait_until(lambda: runner.run(run.id).step is not None, "it says how far it is")
    seen = runner.run(run.id)
    assert (seen.state, seen.step, seen.done, seen.total) == (RunState.RUNNING, "waiting at the gate", 1, 2)
    gate.opened.set()
    assert pulse_until_ended(runner, run).step == "waiting at the gate"


def test_one_run_of_a_job_at_a_time_the_others_wait_their_turn(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work), a_job("other"))
    first, second, other = runner.enqueue("sweep"), runner.enqueue("sweep"), runner.enqueue("other")
    pulse_until_ended(runner, other)
    assert runner.run(first.id).state is RunState.RUNNING
    assert runner.run(second.id).state is RunState.QUEUED
    gate.opened.set()
    assert pulse_until_ended(runner, second).state is RunState.SUCCEEDED


def test_a_tenants_job_runs_for_two_tenants_at_once_but_not_beside_a_run_for_all(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work, for_tenants=True))
    runs = [runner.enqueue("sweep", tenant_id=tenant) for tenant in ("acme", "rival", None, "acme")]
    runner.pulse()
    assert [runner.run(run.id).state.value for run in runs] == ["running", "running", "queued", "queued"]
    gate.opened.set()
    assert [pulse_until_ended(runner, run).state.value for run in runs] == ["succeeded"] * 4


def test_runs_that_wait_for_somebody_else_take_no_other_runs_place(house: House) -> None:
    def work(context: RunContext) -> dict[str, Any]:
        context.wait("waiting for a server that is down", 0, 1, 3600)
        return {}

    waiting = [a_job(f"wait-{number}", work=work) for number in range(RUNS_AT_ONCE)]
    runner = house.lead(*waiting, a_job())
    runs = [runner.enqueue(job.id) for job in waiting]
    runner.pulse()
    wait_until(lambda: all("down" in str(runner.run(run.id).step) for run in runs), "all of them wait")
    assert pulse_until_ended(runner, runner.enqueue("sweep")).state is RunState.SUCCEEDED
    runner.cancel(runs[0].id)
    assert pulse_until_ended(runner, runs[0]).state is RunState.CANCELLED


def test_no_more_runs_wait_at_once_than_there_may_be_threads(house: House) -> None:
    def work(context: RunContext) -> dict[str, Any]:
        context.wait("waiting for a server that is down", 0, 1, 3600)
        return {}

    runner = house.lead(*(a_job(f"wait-{number}", work=work) for number in range(LIVE_LIMIT + 1)))
    runs = [runner.enqueue(f"wait-{number}") for number in range(LIVE_LIMIT + 1)]

    def waiting() -> int:
        runner.pulse()
        return sum("down" in str(runner.run(run.id).step) for run in runs)

    wait_until(lambda: waiting() == LIVE_LIMIT, "as many wait as may")
    assert waiting() == LIVE_LIMIT
    for run in runs:
        runner.cancel(run.id)
    assert {pulse_until_ended(runner, run).state for run in runs} == {RunState.CANCELLED}


def test_work_that_raises_fails_with_its_reasons_and_a_bug_with_its_type_only(house: House) -> None:
    def refuse(_: RunContext) -> Mapping[str, Any]:
        raise Invalid(reasons=(Reason("where", "wrong", "nowhere to go"),))

    def stumble(_: RunContext) -> Mapping[str, Any]:
        message = "a secret"
        raise ZeroDivisionError(message)

    runner = house.runner(
        a_job("refuses", refuse), a_job("stumbles", stumble), a_job("odd", lambda _: {"a": {1}})
    )
    ended = {name: pulse_until_ended(runner, runner.enqueue(name)) for name in runner.jobs}
    assert {run.state for run in ended.values()} == {RunState.FAILED}
    assert ended["refuses"].error == "The input was refused; where: nowhere to go"
    assert ended["stumbles"].error == "Failed with ZeroDivisionError; see the log."
    assert ended["odd"].error == "Failed with TypeError; see the log."


def test_a_queued_run_is_cancelled_at_once_and_one_at_work_when_it_looks(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work))
    first, second = runner.enqueue("sweep"), runner.enqueue("sweep")
    runner.pulse()
    assert runner.cancel(second.id).state is RunState.CANCELLED
    assert runner.cancel(first.id).is_stop_asked
    ended = pulse_until_ended(runner, first)
    assert (ended.state, ended.is_stop_asked) == (RunState.CANCELLED, False)
    assert runner.cancel(first.id).state is RunState.CANCELLED


def test_a_run_that_has_ended_cannot_be_cancelled(house: House) -> None:
    runner = house.runner(a_job())
    run = pulse_until_ended(runner, runner.enqueue("sweep"))
    with pytest.raises(Conflict, match="succeeded"):
        runner.cancel(run.id)


def test_a_run_cancelled_through_another_process_stops(house: House) -> None:
    gate = house.gate()
    runner, elsewhere = house.runner(a_job(work=gate.work)), house.runner(a_job(), place="there")
    run = elsewhere.enqueue("sweep")
    runner.pulse()
    elsewhere.cancel(run.id)
    assert pulse_until_ended(runner, run).state is RunState.CANCELLED


def test_a_run_that_takes_too_long_is_stopped(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work, timeout_seconds=60))
    run = runner.enqueue("sweep")
    runner.pulse()
    house.clock.pass_time(61)
    ended = pulse_until_ended(runner, run)
    assert (ended.state, ended.error) == (RunState.TIMED_OUT, "Stopped: it took longer than 60 s.")


def test_work_that_does_not_look_is_reported_as_stuck_and_holds_its_place(house: House) -> None:
    gate = house.gate(looks=False)
    runner = house.runner(a_job(work=gate.work, timeout_seconds=60))
    run, next_run = runner.enqueue("sweep"), runner.enqueue("sweep")
    runner.pulse()
    house.clock.pass_time(61)
    runner.pulse()
    assert runner.state.stuck == ()
    house.clock.pass_time(31)
    runner.pulse()
    assert [one.id for one in runner.state.stuck] == [run.id]
    assert runner.run(next_run.id).state is RunState.QUEUED
    gate.opened.set()
    # It came to its end after all, and that is what counts.
    assert pulse_until_ended(runner, run).state is RunState.SUCCEEDED
    assert runner.state.stuck == ()


def test_what_is_asked_for_must_make_sense(house: House) -> None:
    runner = house.runner(a_job(), a_job("own-door", by_request_only=True))
    with pytest.raises(NotFound):
        runner.enqueue("nonsense")
    with pytest.raises(Invalid, match="whole installation"):
        runner.enqueue("sweep", tenant_id="acme")
    with pytest.raises(Invalid, match="endpoint of its own"):
        runner.trigger("own-door", tenant_id=None, parameters={}, asked_by="key_1")
    with pytest.raises(Invalid) as refused:
        runner.trigger("sweep", tenant_id=None, parameters={"b": 1, "a": 2}, asked_by="key_1")
    assert [reason.field for reason in refused.value.reasons] == ["parameters.a", "parameters.b"]


def test_runs_cannot_pile_up_without_end(house: House) -> None:
    runner = house.runner(a_job(for_tenants=True))
    for _ in range(QUEUED_LIMIT):
        runner.enqueue("sweep", tenant_id="acme")
    with pytest.raises(Overloaded):
        runner.enqueue("sweep", tenant_id="acme")
    assert runner.enqueue("sweep", tenant_id="rival").state is RunState.QUEUED


def test_history_is_paged_newest_first_and_keeps_to_a_tenant(house: House) -> None:
    runner = house.runner(a_job(for_tenants=True), a_job("other", for_tenants=True))
    runs: list[Run] = []
    for number in range(7):
        house.clock.pass_time(1 if number % 2 else 0)
        runs.append(runner.enqueue("sweep", tenant_id="acme" if number < 5 else "rival"))
    expected = sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True)
    page = runner.runs(RunAsk(limit=3))
    seen: list[Run] = []
    while True:
        seen += page.runs
        if not page.has_more:
            break
        page = runner.runs(RunAsk(limit=3, before=(page.runs[-1].created_at, page.runs[-1].id)))
    assert [run.id for run in seen] == [run.id for run in expected]
    assert {run.tenant_id for run in runner.runs(RunAsk(tenant_id="rival")).runs} == {"rival"}
    assert runner.runs(RunAsk(job_id="other")).runs == ()
    assert len(runner.runs(RunAsk(states=(RunState.QUEUED,))).runs) == 7
    with pytest.raises(NotFound):
        runner.run(runs[0].id, "rival")


def test_a_runner_with_threads_begins_what_is_asked_at_once_and_stops_in_order(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work), a_job("quick"))
    runner.start()
    waiting = runner.enqueue("sweep")
    wait_for_state(runner, runner.enqueue("quick"), RunState.SUCCEEDED)
    assert gate.begun.wait(10)
    assert runner.stop(10)
    ended = runner.run(waiting.id)
    assert (ended.state, runner.state.is_started) == (RunState.INTERRUPTED, False)
    assert "Start it again" in (ended.error or "")
