"""What outlives a process: runs that were at work, moments that passed, listeners that weren't told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar.errors import Conflict, Unavailable
from bursar.scheduling.job import Cron, Every, Missed
from bursar.scheduling.leftovers import ATTEMPTS_LIMIT
from bursar.scheduling.listeners import ATTEMPTS_LIMIT as TELLING_LIMIT
from bursar.scheduling.run import Run, RunState, Trigger
from bursar.scheduling.settling import FAILURES_KEPT_FOR, RUNS_KEPT
from bursar.scheduling.store import RunAsk
from tests.support.jobs import Gate, House, a_job, pulse_until_ended, wait_for_state
from tests.support.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.scheduling.job import RunContext
    from bursar.scheduling.runner import JobRunner


def abandoned(house: House, gate: Gate, **fields: Any) -> tuple[JobRunner, Run]:  # noqa: ANN401 - a job's own fields
    """A runner that has begun a run and gives no sign any more, as after `kill -9`."""
    runner = house.runner(a_job(work=gate.work, **fields))
    run = runner.enqueue("sweep", parameters={"n": 1})
    runner.pulse()
    assert gate.begun.wait(10)
    return runner, run


def test_a_run_goes_on_from_what_it_saved(house: House) -> None:
    seen: list[Mapping[str, Any] | None] = []
    gate = house.gate()

    def work(context: RunContext) -> Mapping[str, Any]:
        seen.append(context.saved)
        if context.saved is None:
            context.save({"position": 7})
            gate.work(context)
        return {"from": dict(context.saved or {})}

    first = house.runner(a_job(work=work, resumes=True))
    run = first.enqueue("sweep")
    first.pulse()
    assert gate.begun.wait(10)
    ended = pulse_until_ended(house.runner(a_job(work=work, resumes=True)), run)
    assert (ended.state, ended.attempts, ended.result) == (RunState.SUCCEEDED, 2, {"from": {"position": 7}})
    assert seen == [None, {"position": 7}]


def test_a_run_that_cannot_go_on_is_marked_interrupted(house: House) -> None:
    _, run = abandoned(house, house.gate())
    ended = pulse_until_ended(house.runner(a_job()), run)
    assert (ended.state, ended.attempts, ended.parameters) == (RunState.INTERRUPTED, 1, {"n": 1})


def test_a_cancelled_run_is_not_taken_up_again(house: House) -> None:
    _, run = abandoned(house, house.gate(looks=False), resumes=True)
    successor = house.runner(a_job(resumes=True))
    successor.cancel(run.id)
    assert pulse_until_ended(successor, run).state is RunState.CANCELLED


def test_a_cancelled_run_whose_work_is_done_for_good_has_succeeded(house: House) -> None:
    _, run = abandoned(house, house.gate(looks=False), resumes=True)
    known: list[Mapping[str, Any] | None] = []

    def done(_: Run) -> Mapping[str, Any] | None:
        if not known:
            message = "not known yet"
            raise Unavailable(message)
        return known[0]

    successor = house.runner(a_job(resumes=True, done=done))
    successor.cancel(run.id)
    successor.pulse()
    assert successor.run(run.id).state is RunState.RUNNING
    known.append({"n": 1})
    ended = pulse_until_ended(successor, run)
    assert (ended.state, ended.result) == (RunState.SUCCEEDED, {"n": 1})


def test_a_run_that_waits_to_go_on_is_not_cancelled_when_its_work_is_done(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work, resumes=True))
    runner.start()
    run = runner.enqueue("sweep")
    assert gate.begun.wait(10)
    assert runner.stop(10)

    def done(_: Run) -> Mapping[str, Any]:
        return {"n": 1}

    with pytest.raises(Conflict, match="succeeded"):
        house.runner(a_job(resumes=True, done=done)).cancel(run.id)


def test_a_run_that_brings_its_process_down_again_and_again_is_given_up(house: House) -> None:
    gate = house.gate()
    _, run = abandoned(house, gate, resumes=True)
    for _ in range(ATTEMPTS_LIMIT - 1):
        gate.begun.clear()
        house.runner(a_job(work=gate.work, resumes=True)).pulse()
        assert gate.begun.wait(10)
    ended = pulse_until_ended(house.runner(a_job(resumes=True)), run)
    assert (ended.state, ended.attempts) == (RunState.FAILED, ATTEMPTS_LIMIT)


def test_a_run_of_a_job_that_is_no_more_fails_by_name(house: House) -> None:
    run = house.runner(a_job("old")).enqueue("old")
    assert pulse_until_ended(house.runner(a_job()), run).error == "This Bursar has no such job."


def test_an_orderly_stop_queues_a_run_again_that_can_go_on(house: House) -> None:
    gate = house.gate()
    runner = house.runner(a_job(work=gate.work, resumes=True))
    runner.start()
    run = runner.enqueue("sweep")
    assert gate.begun.wait(10)
    assert runner.stop(10)
    assert runner.run(run.id).state is RunState.QUEUED
    gate.opened.set()
    assert pulse_until_ended(house.runner(a_job(work=gate.work, resumes=True)), run).attempts == 2


def test_work_that_does_not_stop_is_left_behind_and_said_so(house: House) -> None:
    gate = house.gate(looks=False)
    runner = house.runner(a_job(work=gate.work))
    runner.start()
    run = runner.enqueue("sweep")
    assert gate.begun.wait(10)
    assert not runner.stop(0.05)
    assert runner.run(run.id).state is RunState.RUNNING
    assert pulse_until_ended(house.runner(a_job()), run).state is RunState.INTERRUPTED


def test_a_command_runs_what_it_asks_for_and_nothing_that_others_left(house: House) -> None:
    left = house.runner(a_job()).enqueue("sweep")
    runner = house.runner(a_job(), a_job("timed", schedule=Every(seconds=60)))
    runner.start(only_own=True)
    wait_for_state(runner, runner.enqueue("sweep"), RunState.SUCCEEDED)
    assert runner.run(left.id).state is RunState.QUEUED
    assert runner.stop(10)
    assert house.store.reckoned() == {}


NIGHTLY = Cron("30 3 * * *")


def test_moments_that_passed_unseen_are_caught_up_with_once(house: House) -> None:
    job = a_job(schedule=NIGHTLY)
    house.lead(job)
    house.clock.pass_time(3 * 86_400)
    runner = house.lead(job)
    runs = runner.runs(RunAsk()).runs
    assert [(run.trigger, run.asked_by) for run in runs] == [(Trigger.CATCH_UP, None)]
    assert pulse_until_ended(runner, runs[0]).state is RunState.SUCCEEDED
    assert runner.next_times() == {"sweep": house.clock.at.replace(hour=3, minute=30) + timedelta(days=1)}


def test_a_job_that_skips_says_what_was_missed(house: House) -> None:
    job = a_job(schedule=NIGHTLY, missed=Missed.SKIP)
    house.lead(job)
    due = house.clock.at.replace(hour=3, minute=30) + timedelta(days=1)
    house.clock.pass_time(3 * 86_400)
    (run,) = house.lead(job).runs(RunAsk()).runs
    assert (run.state, run.created_at, run.finished_at) == (RunState.MISSED, due, house.clock.at)


def test_nothing_is_caught_up_with_when_no_moment_passed_or_the_job_is_new(house: House) -> None:
    house.lead(a_job(schedule=NIGHTLY))
    house.clock.pass_time(3600)
    runner = house.lead(a_job(schedule=NIGHTLY), a_job("new", schedule=Every(seconds=1)))
    assert runner.runs(RunAsk()).runs == ()


def test_an_interval_goes_on_from_before_a_restart(house: House) -> None:
    job = a_job(schedule=Every(seconds=86_400))
    began = house.clock.at
    for _ in range(5):
        house.lead(job)
        house.clock.pass_time(3600)
    assert house.lead(job).next_times() == {"sweep": began + timedelta(days=1)}


def test_a_clock_that_was_years_ahead_stops_no_schedule(house: House) -> None:
    house.store.reckon("sweep", house.clock.at + timedelta(days=5000))
    house.lead(a_job(schedule=NIGHTLY))
    assert house.store.reckoned() == {"sweep": house.clock.at}


def test_a_scheduled_run_is_not_doubled_while_one_waits_or_works(house: House) -> None:
    gate = house.gate()
    runner = house.lead(a_job(work=gate.work, schedule=NIGHTLY))
    runner._clockwork.fire("sweep")
    runner.pulse()
    runner._clockwork.fire("sweep")
    assert [run.state for run in runner.runs(RunAsk()).runs] == [RunState.RUNNING]


def test_the_timetable_begins_runs_when_their_time_comes(house: House) -> None:
    runner = house.really_timed(a_job(schedule=Every(seconds=1)))
    runner.start()
    wait_until(lambda: len(runner.runs(RunAsk(states=(RunState.SUCCEEDED,))).runs) > 1, "it ran twice")
    assert {run.trigger for run in runner.runs(RunAsk()).runs} == {Trigger.SCHEDULE}
    assert runner.stop(10)


def test_without_timekeeping_jobs_run_only_when_asked(house: House) -> None:
    runner = house.lead(a_job(schedule=NIGHTLY), keeps_time=False)
    assert (runner.next_times(), house.store.reckoned()) == ({}, {})
    assert pulse_until_ended(runner, runner.enqueue("sweep")).state is RunState.SUCCEEDED


def test_the_last_runs_are_kept_and_failures_longer(house: House) -> None:
    def fail(context: RunContext) -> Mapping[str, Any]:
        if context.parameters:
            message = "on purpose"
            raise Unavailable(message)
        return {}

    runner = house.runner(a_job(work=fail, for_tenants=True))
    failed = pulse_until_ended(runner, runner.enqueue("sweep", parameters={"fail": 1}))
    of_tenant = pulse_until_ended(runner, runner.enqueue("sweep", tenant_id="acme"))
    house.clock.pass_time(1)
    for _ in range(RUNS_KEPT + 3):
        pulse_until_ended(runner, runner.enqueue("sweep"))
    kept = {run.id for run in runner.runs(RunAsk(limit=500)).runs}
    assert len(kept) == RUNS_KEPT + 2
    assert {failed.id, of_tenant.id} <= kept
    house.clock.pass_time(FAILURES_KEPT_FOR.total_seconds())
    pulse_until_ended(runner, runner.enqueue("sweep"))
    assert failed.id not in {run.id for run in runner.runs(RunAsk(limit=500)).runs}


def test_listeners_are_told_how_runs_ended_and_what_they_were_told_is_kept(house: House) -> None:
    told: list[Run] = []
    runner = house.runner(a_job())
    runner.on_ended("alerts", told.append)
    run = pulse_until_ended(runner, runner.enqueue("sweep"))
    runner._listeners.tell_all()
    runner._listeners.tell_all()
    assert told == [run]
    (notice,) = house.runner().notices(run.id)
    assert (notice.listener, notice.attempts, notice.error) == ("alerts", 1, None)
    assert notice.told_at is not None


def test_a_listener_that_was_not_told_before_a_crash_is_told_by_the_next_process(house: House) -> None:
    runner = house.runner(a_job())
    runner.on_ended("alerts", lambda _: None)
    run = pulse_until_ended(runner, runner.enqueue("sweep"))
    told: list[Run] = []
    successor = house.runner(a_job())
    successor.on_ended("alerts", told.append)
    successor._listeners.tell_all()
    assert told == [run]


def test_a_listener_that_fails_is_told_again_and_given_up_in_the_end(house: House) -> None:
    calls: list[str] = []

    def fail(run: Run) -> None:
        calls.append(run.id)
        message = "a \0 nobody wants"
        raise ValueError(message)

    runner = house.runner(a_job())
    runner.on_ended("alerts", fail)
    run = pulse_until_ended(runner, runner.enqueue("sweep"))
    for _ in range(TELLING_LIMIT + 2):
        runner._listeners.tell_all()
    (notice,) = runner.notices(run.id)
    assert calls == [run.id] * TELLING_LIMIT
    assert (notice.told_at, notice.error) == (None, "ValueError: a � nobody wants")
