"""A job with checkpoints that runs at another site goes on from them when its worker there is killed."""

import os
import signal

from conftest import eventually
from test_checkpoints import STEPS, command, program, steps_done  # noqa: F401  (program: a fixture)
from test_federation_faults import await_workers, know_each_other

PAUSE = 0.1
INTERVAL_SECONDS = 1


def begin(federation, program, tmp_path):  # noqa: F811
    """Home, another site where a job of home's runs and has left a checkpoint, and the job's number at home."""
    home, there = know_each_other(federation.site("home"), federation.site("there", "--sandbox", "none", workers=1))
    answer = home.api("POST", "/v1/jobs", {
        "command": list(command(program, tmp_path, PAUSE)), "at": "there", "cache": "off",
        "checkpoint": {"files": ["state"], "interval_seconds": INTERVAL_SECONDS}})
    assert answer.code == 201, answer
    eventually(lambda: checkpoints(there), about="the first checkpoint there")
    return home, there, answer.json["id"]


def checkpoints(site):
    """When the running tasks there left their last ones."""
    tasks = [
        task for job in site.api("GET", "/v1/jobs?state=running").json["jobs"]
        for task in site.api("GET", f"/v1/jobs/{job['id']}/tasks?state=running").json["tasks"]]
    return [task["checkpoint_at"] for task in tasks if task.get("checkpoint_at")]


def assert_went_on(home, job, tmp_path, lost_steps):
    ended = eventually(lambda: home.api("GET", f"/v1/jobs/{job}").json["finished_at"] and home.api("GET", f"/v1/jobs/{job}").json, about="the end of the job")
    assert ended["state"] == "succeeded", ended
    done = steps_done(tmp_path)
    assert {step for _, step in done} == set(range(STEPS))
    assert {attempt for attempt, _ in done} == {1, 2}, done
    assert len(done) < STEPS + lost_steps, done
    said = home.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body.decode()
    assert "attempt 2 from" in said and "attempt 2 from 0" not in said and f"all {STEPS}" in said, said


def test_a_worker_that_is_killed_there_costs_an_interval_at_most(federation, program, tmp_path):  # noqa: F811
    home, there, job = begin(federation, program, tmp_path)
    for pid in there.workers():
        os.kill(pid, signal.SIGKILL)
    # One interval, and what was done until the test had seen the checkpoint.
    assert_went_on(home, job, tmp_path, 2 * INTERVAL_SECONDS / PAUSE)


def test_a_site_that_is_killed_there_with_its_worker_costs_an_interval_at_most(federation, program, tmp_path):  # noqa: F811
    home, there, job = begin(federation, program, tmp_path)
    workers = there.workers()
    there.kill()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    there.start()
    await_workers(there)
    assert_went_on(home, job, tmp_path, 2 * INTERVAL_SECONDS / PAUSE)
