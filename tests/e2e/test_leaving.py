"""Workers that leave, by order, by a signal or at the end of their lifetime: nothing is lost, and nobody is blamed."""

import pathlib
import signal
import time

import pytest
from conftest import eventually


@pytest.fixture
def pool(make_site, lode, tmp_path):
    """A site without workers of its own, and a way to start others: pool.start("desk", "--lifetime", "1h")."""

    class Pool:
        def __init__(self):
            self.site = make_site(options=["--workers", "0"])
            self.processes = {}

        def start(self, name, *options, sandbox="none"):
            with open(tmp_path / f"{name}.log", "ab") as log:
                words = ["worker", "--site-file", self.site.directory / "site.json", "--token-file", self.site.directory / "worker.token"]
                words += ["--directory", tmp_path / name, "--name", name, "--cpus", "1", "--sandbox", sandbox]
                self.processes[name] = lode.start(*words, *options, stdout=log, stderr=log)
            eventually(lambda: self.state(name), about=f"worker {name}")
            return self.processes[name]

        def workers(self):
            return {worker["name"]: worker for worker in self.site.api("GET", "/v1/workers").json["workers"] if worker["state"] not in ("gone", "lost")}

        def state(self, name):
            return self.workers().get(name, {}).get("state")

        def submit(self, *command, **fields):
            answer = self.site.api("POST", "/v1/jobs", {"command": list(command), "cache": "off", **fields})
            assert answer.code == 201, answer
            return answer.json["id"]

        def job(self, number):
            return self.site.api("GET", f"/v1/jobs/{number}").json

        def ended(self, number):
            return eventually(lambda: self.job(number)["finished_at"] and self.job(number), about="the end of the job")

        def log(self, name):
            return (tmp_path / f"{name}.log").read_text(errors="replace")

    pool = Pool()
    yield pool
    for process in pool.processes.values():
        if process.poll() is None:
            process.kill()
        process.wait()


def patient(folder):
    """A command that says where it was started, and ends once there is a file `go`."""
    return "sh", "-c", f"echo start >> {folder}/starts; until [ -e {folder}/go ]; do sleep 0.05; done; echo done"


def starts(folder):
    path = pathlib.Path(folder) / "starts"
    return path.read_text().count("start") if path.exists() else 0


def leave_by_order(pool, lode):
    lode("worker", "drain", "first")


def leave_by_term(pool, lode):
    pool.processes["first"].send_signal(signal.SIGTERM)


def leave_by_warning(pool, lode):
    pool.processes["first"].send_signal(signal.SIGUSR2)


@pytest.mark.parametrize("leave", (leave_by_order, leave_by_term, leave_by_warning))
def test_what_a_leaving_worker_runs_goes_on_elsewhere_without_blame(pool, lode, tmp_path, leave):
    first = pool.start("first", "--warning-signal", "USR2@8")
    job = pool.submit(*patient(tmp_path))
    eventually(lambda: starts(tmp_path) == 1)
    pool.start("second")
    began = time.monotonic()
    leave(pool, lode)
    assert first.wait(30) == 0
    assert time.monotonic() - began < 15, pool.log("first")
    eventually(lambda: starts(tmp_path) == 2)
    (tmp_path / "go").touch()
    assert pool.ended(job)["state"] == "succeeded"
    record = pool.site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["worker"] == "second" and record["attempts"] == 1 and record["failed_attempts"] == [], record


def test_a_task_that_ignores_the_warning_is_killed_when_the_notice_is_over(pool, tmp_path):
    worker = pool.start("first", "--notice", "1s")
    pool.submit("sh", "-c", f"trap '' TERM; echo start >> {tmp_path}/starts; while :; do sleep 0.1; done")
    eventually(lambda: starts(tmp_path) == 1)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert 0.9 < time.monotonic() - began < 10
    assert "event=stopping" in pool.log("first")


def test_a_streamed_job_keeps_what_was_answered_when_its_worker_leaves(pool, lode, tmp_path):
    first = pool.start("first")
    items = "".join(f"{i}\n" for i in range(400))
    (tmp_path / "items").write_text(items)
    running = lode.start("run", "--cache", "off", "--stream", "--items", tmp_path / "items", "--", "sh", "-c",
                         f"while read -r x; do echo $x >> {tmp_path}/seen; echo $x; sleep 0.02; done")
    eventually(lambda: (tmp_path / "seen").exists() and len((tmp_path / "seen").read_text().split()) > 50)
    pool.start("second")
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    stdout, stderr = running.communicate(timeout=60)
    assert stdout.split() == items.split(), stderr
    # What was on its way when the worker left is done again, and no more.
    assert len((tmp_path / "seen").read_text().split()) < 450


def test_a_worker_with_a_lifetime_begins_nothing_that_cannot_end(pool, lode):
    began = time.monotonic()
    worker = pool.start("first", "--lifetime", "20s")
    assert pool.workers()["first"]["leaves_at"]
    long = pool.submit("sleep", "600", walltime_seconds=3600)
    short = pool.submit("true", walltime_seconds=5)
    assert pool.ended(short)["state"] == "succeeded"
    assert pool.job(long)["state"] == "waiting"
    why = lode("why", str(long)).stdout
    assert "leaves in about" in why and "a task needs about 60 min" in why, why
    assert worker.wait(60) == 0
    assert 10 < time.monotonic() - began < 30


def over(pool, name):
    return [worker["state"] for worker in pool.site.api("GET", "/v1/workers").json["workers"] if worker["name"] == name]


@pytest.mark.parametrize("is_busy", (False, True), ids=("idle", "busy"))
@pytest.mark.parametrize("leave", (leave_by_order, leave_by_term, leave_by_warning))
def test_who_has_left_in_order_is_listed_as_gone(pool, lode, tmp_path, leave, is_busy):
    first = pool.start("first", "--notice", "1s", "--warning-signal", "USR2@4")
    if is_busy:
        job = pool.submit("sh", "-c", f"echo start >> {tmp_path}/starts; exec sleep 600")
        eventually(lambda: starts(tmp_path) == 1)
    leave(pool, lode)
    assert first.wait(60) == 0, pool.log("first")
    assert over(pool, "first") == ["gone"], pool.log("first")  # At once: the site was told.
    if is_busy:
        lode("cancel", str(job))
    assert "gone" in lode("workers").stdout
    assert "(first) is gone" in lode("worker", "drain", "first").stdout
    assert lode.json("worker", "drain", "1")["state"] == "gone"
    assert "(first) is gone" in lode("worker", "drain", "first", "--cancel", status=1).stderr
    # It is not in the way of one of the same name.
    second = pool.start("first")
    assert over(pool, "first") == ["gone", "idle"]
    assert "leaves at" in lode("worker", "drain", "first").stdout
    assert second.wait(60) == 0
    assert over(pool, "first") == ["gone", "gone"]


def test_a_lifetime_that_ended_leaves_a_worker_that_is_gone(pool):
    worker = pool.start("first", "--lifetime", "5s", "--notice", "1s")
    assert worker.wait(60) == 0
    assert over(pool, "first") == ["gone"], pool.log("first")


def test_who_is_killed_while_it_leaves_is_lost(pool, lode, tmp_path):
    first = pool.start("first", "--notice", "60s")
    pool.submit("sh", "-c", f"trap '' TERM; echo start >> {tmp_path}/starts; while :; do sleep 0.1; done")
    eventually(lambda: starts(tmp_path) == 1)
    first.send_signal(signal.SIGTERM)
    eventually(lambda: pool.state("first") == "draining")
    first.kill()
    eventually(lambda: over(pool, "first") == ["lost"], 60)
    assert "there is no worker" in lode("worker", "drain", "first", status=1).stderr
    assert "is lost" in lode("worker", "drain", "1", status=1).stderr


def test_a_drain_at_a_time_is_shown_survives_the_site_and_can_be_called_off(pool, lode):
    pool.start("first")
    said = lode.json("worker", "drain", "first", "--in", "2h")
    assert said["state"] == "draining" and said["leaves_at"]
    long = pool.submit("sleep", "600", walltime_seconds=7 * 3600)
    assert "leaves in about 2.0 h" in lode("why", str(long)).stdout
    pool.site.kill()
    pool.site.start()
    eventually(lambda: pool.state("first") == "draining", about="the return of the order")
    assert "h" in lode("workers").stdout
    assert "stays" in lode("worker", "drain", "first", "--cancel").stdout
    eventually(lambda: pool.job(long)["state"] == "running")
    lode("cancel", str(long))


def test_what_cannot_be_drained_is_refused_and_the_way_out_said(pool, lode):
    pool.start("first")
    assert "there is no worker" in lode("worker", "drain", "nobody", status=1).stderr
    assert "there is no worker 99" in lode("worker", "drain", "99", status=1).stderr
    assert "not being drained" in lode("worker", "drain", "first", "--cancel", status=1).stderr
    assert "exclude each other" in lode("worker", "drain", "first", "--in", "1h", "--cancel", status=2).stderr
    assert "is no time" in lode("worker", "drain", "first", "--at", "noon", status=2).stderr
    assert "has passed" in lode("worker", "drain", "first", "--at", "2001-01-01T00:00:00Z", status=1).stderr
    for body in ({"in_seconds": -1}, {"in_seconds": 1, "at": "2101-01-01T00:00:00Z"}, {"at": "soon"}, {"nonsense": 1}):
        answer = pool.site.api("POST", "/v1/workers/1/drain", body)
        assert answer.code == 400 and answer.json["detail"], (body, answer)
    token = lode.json("token", "create", "eve")["token"]
    assert pool.site.api("POST", "/v1/workers/1/drain", {}, token=token).code == 403
    assert pool.state("first") == "idle"
    assert "is no signal" in lode("worker", "--warning-signal", "STOP@1m", "--token-file", "x", "--directory", "y", status=2).stderr
