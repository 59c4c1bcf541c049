"""A task that workers die of is held with the evidence, and the rest of its job goes on; causes are counted apart."""

import os
import signal

from conftest import eventually

# Task 1 says something and stays until its worker dies, unless the mark is there.
DEADLY = "test $0 != 1 || cat mended 2>/dev/null || { echo out of luck >&2; sleep 1000; }"


def running(lode, job):
    tasks = lode.json("job", "show", str(job))["tasks"]
    return tasks["running"]


def kill_workers(site, lode, job, times):
    """Kills the site's worker whenever it runs the deadly task and nothing else is left to run."""
    for time in range(times):
        lost = lode.json("job", "show", str(job))["failures"]["lost"]
        assert lost == time
        # Its words have come to the site, so the task runs.
        eventually(lambda: running(lode, job) and b"out of luck" in site.api("GET", f"/v1/jobs/{job}/tasks/1/stderr").body)
        for pid in site.workers():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: lode.json("job", "show", str(job))["failures"]["lost"] == time + 1)


def test_a_task_that_three_workers_die_of_is_held_and_released(site, lode):
    job = lode.json("submit", "--count", "3", "--cache", "off", "--", "sh", "-c", DEADLY, "{index}")["id"]
    eventually(lambda: lode.json("job", "show", str(job))["tasks"]["succeeded"] == 2)
    kill_workers(site, lode, job, 3)
    shown = lode.json("job", "show", str(job))
    assert shown["state"] == "held" and shown["tasks"]["held"] == 1 and shown["exit_code"] is None, shown
    assert "held" in lode("jobs").stdout
    assert "1 held" in lode("job", "show", str(job)).stdout
    # Nobody waits with it.
    waited = lode("wait", str(job), status=125)
    assert f"lode retry {job}" in waited.stderr and f"{job}/1" in waited.stderr
    # The evidence: three workers, how each ended, and the task's last words.
    said = lode.json("why", f"{job}/1")
    assert len(said["evidence"]) == 3 and f"lode retry {job}/1" in said["change"], said
    assert "its worker was lost 3 times, which is more than it may; " in said["why"], said
    for loss in said["evidence"]:
        assert "killed by signal 9" in loss["text"] and "out of luck" in loss["text"], said
        assert "last that it had reported" in loss["text"] or "had reported no task" in loss["text"], said
    assert "killed by signal 9" in lode("why", f"{job}/1").stdout
    # It survives a crash of the site.
    site.kill()
    site.start()
    shown = lode.json("job", "show", str(job))
    assert shown["state"] == "held" and shown["tasks"]["held"] == 1, shown
    assert [each["id"] for each in lode.json("jobs", "--state", "held")["jobs"]] == [job]
    # Released, it runs again; the next loss is its first.
    assert "is not held" in lode("retry", f"{job}/0", status=1).stderr
    lode("retry", f"{job}/1")
    eventually(lambda: running(lode, job))
    assert lode.json("job", "show", str(job))["tasks"]["held"] == 0
    lode("cancel", str(job))
    assert lode.json("job", "show", str(job))["tasks"]["succeeded"] == 2


def test_run_returns_when_its_job_is_held(site, lode):
    run = lode.start("run", "--retries", "lost=0", "--cache", "off", "--", "sh", "-c", "echo out of luck >&2; sleep 1000")
    job = eventually(lambda: [each["id"] for each in lode.json("jobs")["jobs"]])[0]
    eventually(lambda: running(lode, job))
    for pid in site.workers():
        os.kill(pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 125 and f"job {job} is held" in errors and "lode retry" in errors, errors
    lode("cancel", str(job))


def test_a_lost_task_fails_when_its_job_says_so(site, lode):
    job = lode.json("submit", "--retries", "lost=0", "--when-lost", "fail", "--cache", "off", "--", "sleep", "1000")["id"]
    eventually(lambda: running(lode, job))
    for pid in site.workers():
        os.kill(pid, signal.SIGKILL)
    lode("wait", str(job), status=125)
    shown = lode.json("job", "show", str(job))
    assert shown["state"] == "failed" and "killed by signal 9" in shown["message"], shown


def test_limits_are_counted_apart_from_failures(site, lode):
    lode("run", "--retries", "fail=5,limit=1", "--walltime", "0.5s", "--cache", "off", "--", "sleep", "1000", status=124)
    job = lode.json("jobs")["jobs"][0]["id"]
    shown = lode.json("job", "show", str(job))
    assert shown["failures"] == {"fail": 0, "limit": 2, "lost": 0, "input": 0, "worker": 0}, shown
    assert "2 reached a limit" in lode("job", "show", str(job)).stdout
    record = lode.json("job", "show", f"{job}/0")
    assert [each["cause"] for each in record["failed_attempts"]] == ["limit"] and record["failures"]["limit"] == 2, record


def test_bad_retries_are_refused_before_anything_is_sent(site, lode):
    for bad in ("fial=2", "fail=x", "fail=101", "x"):
        refused = lode("run", "--retries", bad, "--", "true", status=2)
        assert "fail" in refused.stderr and "Traceback" not in refused.stderr, refused.stderr
    assert lode.json("jobs")["jobs"] == []


def test_jobs_are_listed_by_the_state_that_they_have_now(make_site, lode):
    """Nothing is written when a job begins to run."""
    site = make_site(options=["--workers", "1"])
    first, second = (lode.json("submit", "--cache", "off", "--", "sleep", "1000")["id"] for _ in range(2))

    def listed(*options):
        return [each["id"] for each in lode.json("jobs", *options)["jobs"]]

    eventually(lambda: running(lode, first))
    assert listed("--state", "running") == [first] and listed("--state", "waiting") == [second]
    assert site.api("GET", "/v1/jobs?state=running&owner=nobody").json["jobs"] == []
    lode("cancel", str(first))
    eventually(lambda: running(lode, second))
    assert listed("--state", "running") == [second] and listed("--state", "waiting") == [] and listed("--state", "cancelled") == [first]
    lode("cancel", str(second))
