"""Checkpoints: what an interrupted task has done is not done again, whoever goes on with it."""

import json
import signal
import time

import pytest
from conftest import eventually
from networks import make_network
from office import Office
from test_leaving import pool  # noqa: F401  (a fixture)

STEPS = 60

# Does steps, says each in a file that all attempts share, and replaces its state by rename. With "ask" it writes the state only when it is
# asked by SIGUSR1; with "ask" and "leave" it ends then, too.
PROGRAM = """
import os, signal, sys, time
log, steps, pause, how = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
done = int(open("state").read()) if os.environ.get("LODE_CHECKPOINT") else 0
print("attempt", os.environ["LODE_ATTEMPT"], "from", done, flush=True)
asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))

def save():
    with open("state.new", "w") as file:
        file.write(str(done))
    os.rename("state.new", "state")

while done < steps:
    time.sleep(pause)
    with open(log, "a") as file:
        file.write(f"{os.environ['LODE_ATTEMPT']} {done}\\n")
    done += 1
    if not how or asked:
        save()
        if asked and "leave" in how:
            sys.exit(75)
        asked.clear()
print("all", done)
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "steps.py").write_text(PROGRAM)
    return tmp_path / "steps.py"


def steps_done(tmp_path):
    path = tmp_path / "steps.log"
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []


def command(program, tmp_path, pause, *how):
    return "/usr/bin/python3", str(program), str(tmp_path / "steps.log"), str(STEPS), str(pause), *how


def running(pool, job):
    return pool.site.api("GET", f"/v1/jobs/{job}/tasks?state=running").json["tasks"]


def checkpoint_at(pool, job):
    return [task["checkpoint_at"] for task in running(pool, job) if task.get("checkpoint_at")]


def assert_all_done(pool, tmp_path, job, interval_steps):
    ended = pool.ended(job)
    assert ended["state"] == "succeeded", ended
    done = steps_done(tmp_path)
    assert {step for _, step in done} == set(range(STEPS))
    assert len(done) < STEPS + interval_steps, done
    attempts = sorted({attempt for attempt, _ in done})
    assert attempts == list(range(1, len(attempts) + 1)), done
    return attempts


def test_a_computation_under_kill_9_loses_less_than_an_interval(pool, program, tmp_path):
    pause, interval = 0.1, 2
    first = pool.start("first")
    job = pool.submit(*command(program, tmp_path, pause), checkpoint={"files": ["state"], "interval_seconds": interval})
    eventually(lambda: checkpoint_at(pool, job), about="the first checkpoint")
    stored_at = len(steps_done(tmp_path))
    killed_at = eventually(lambda: len(steps_done(tmp_path)) >= stored_at + 8 and len(steps_done(tmp_path)), about="steps that will be lost")
    first.kill()
    pool.start("second")
    attempts = assert_all_done(pool, tmp_path, job, interval / pause)
    assert attempts == [1, 2] and killed_at < STEPS < len(steps_done(tmp_path))
    assert b"attempt 2 from" in pool.site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body


def test_a_restart_of_the_site_keeps_checkpoints_and_their_tasks(pool, program, tmp_path):
    pause, interval = 0.1, 1
    first = pool.start("first")
    job = pool.submit(*command(program, tmp_path, pause), checkpoint={"files": ["state"], "interval_seconds": interval})
    eventually(lambda: checkpoint_at(pool, job), about="the first checkpoint")
    pool.site.kill()
    first.kill()
    pool.site.start()
    pool.start("second")
    # One interval, and what was done until the site was asked and killed.
    assert assert_all_done(pool, tmp_path, job, 2 * interval / pause) == [1, 2]


@pytest.mark.parametrize("how", (("ask", "leave"), ("ask",)), ids=("that_ends_then", "that_goes_on"))
def test_a_drained_worker_asks_by_signal_and_the_task_goes_on_from_there(pool, lode, program, tmp_path, how):
    first = pool.start("first", "--notice", "2s")
    job = pool.submit(*command(program, tmp_path, 0.1, *how),
                      checkpoint={"files": ["state"], "interval_seconds": 3600, "signal": "USR1"})
    eventually(lambda: len(steps_done(tmp_path)) >= 5)
    pool.start("second")
    lode("worker", "drain", "first")
    assert first.wait(30) == 0
    # Who goes on after it was asked loses what it does until the notice is over: two seconds.
    attempts = assert_all_done(pool, tmp_path, job, 1 if "leave" in how else 25)
    assert attempts == [1, 2]
    record = pool.site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["worker"] == "second" and record["failed_attempts"] == [], record


# Leaves 12 MiB that cannot be compressed when it is asked; whoever goes on from them says so.
LARGE = """
import os, signal, sys, time
if os.environ.get("LODE_CHECKPOINT"):
    print("went on with", os.path.getsize("state"))
    sys.exit()

def save(*_):
    with open("state.new", "wb") as file:
        file.write(os.urandom(12 << 20))
    os.rename("state.new", "state")
    sys.exit(75)

signal.signal(signal.SIGUSR1, save)
open(sys.argv[1], "a").write("start\\n")
time.sleep(120 if open(sys.argv[1]).read().count("start") == 1 else 0)
print("from the beginning")
"""


@pytest.fixture
def slow_desk(folder):
    """A site, and a worker on a machine that sends it 8 Mbit/s; it runs a task with a checkpoint that takes twelve seconds to send."""
    network = make_network()
    office = Office(folder, network)
    site = office.site("ocean")
    desk = office.machine("desk")
    (folder / "large.py").write_text(LARGE)
    worker = office.worker(desk, site, "--sandbox", "none", "--notice", "1s", "--warning-signal", "USR2@4")
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"], about="the worker")
    job = site.api("POST", "/v1/jobs", {"command": ["/usr/bin/python3", str(folder / "large.py"), str(folder / "starts")], "cache": "off",
                                        "checkpoint": {"files": ["state"], "interval_seconds": 3600, "signal": "USR1"}}).json["id"]
    eventually(lambda: (folder / "starts").exists() and (folder / "starts").read_text(), about="the task")
    network.slow(desk.node, "8mbit")

    def ended():
        office.worker(office.machine("other"), site, "--sandbox", "none")
        shown = site.api("GET", f"/v1/jobs/{job}?wait=60").json
        assert shown["state"] == "succeeded" and shown["failures"]["lost"] == 0, shown
        return site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body.decode()

    yield site, worker, ended
    office.stop()
    network.close()


@pytest.mark.parametrize("how", ("drain", "term"))
def test_a_large_checkpoint_is_stored_however_long_its_way_takes(slow_desk, how):
    site, worker, ended = slow_desk
    began = time.monotonic()
    if how == "drain":
        assert site.api("POST", f"/v1/workers/{site.api('GET', '/v1/workers').json['workers'][0]['id']}/drain", {}).code == 200
    else:
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert time.monotonic() - began > 6  # Longer than notice and reports.
    assert ended() == f"went on with {12 << 20}\n"


def test_a_checkpoint_that_takes_too_long_is_given_up_for_the_end_that_is_known(slow_desk):
    site, worker, ended = slow_desk
    began = time.monotonic()
    worker.send_signal(signal.SIGUSR2)
    assert worker.wait(60) == 0
    assert time.monotonic() - began < 9
    assert ended() == "from the beginning\n"


def test_a_signal_asks_for_checkpoints_at_the_interval(pool, program, tmp_path):
    pool.start("first")
    job = pool.submit(*command(program, tmp_path, 0.1, "ask"), checkpoint={"files": ["state"], "interval_seconds": 1, "signal": "USR1"})
    first = eventually(lambda: checkpoint_at(pool, job))
    eventually(lambda: checkpoint_at(pool, job) != first, about="another checkpoint")
    assert pool.ended(job)["state"] == "succeeded"


def test_a_program_that_ends_well_after_it_was_warned_has_succeeded(pool, lode, tmp_path):
    first = pool.start("first")
    script = f"trap 'echo saved; touch {tmp_path}/warned; exit 0' USR1; echo start >> {tmp_path}/starts; while :; do sleep 0.05; done"
    job = pool.submit("sh", "-c", script, checkpoint={"files": ["state"], "signal": "USR1"})
    eventually(lambda: (tmp_path / "starts").exists())
    lode("worker", "drain", "first")
    assert first.wait(30) == 0
    assert pool.ended(job)["state"] == "succeeded"
    assert (tmp_path / "starts").read_text() == "start\n"


def test_checkpoints_work_in_the_sandbox_with_folders_and_modes(pool, lode, tmp_path):
    first = pool.start("first", sandbox="bubblewrap")
    script = ("if [ $LODE_CHECKPOINT ]; then cat deep/er/state; ls -l deep/er/tool | cut -c1-10; ls -A; exit; fi; "
              "mkdir -p deep/er; echo kept > deep/er/state; touch deep/er/tool unwanted; chmod 755 deep/er/tool; sleep 600")
    job = pool.submit("sh", "-c", script, checkpoint={"files": ["deep/**"], "interval_seconds": 1})
    eventually(lambda: checkpoint_at(pool, job))
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    pool.start("second", sandbox="bubblewrap")
    assert pool.ended(job)["state"] == "succeeded"
    assert pool.site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"kept\n-rwxr-xr-x\ndeep\n"


def test_a_file_that_is_written_in_place_is_never_stored_torn(pool, tmp_path):
    first = pool.start("first")
    script = "import os\nwhile True:\n  f = open('state', 'r+' if os.path.exists('state') else 'w')\n  for i in range(64): f.write(chr(97 + i % 26) * 65536); f.flush()\n"
    job = pool.submit("/usr/bin/python3", "-c", script, checkpoint={"files": ["state"], "interval_seconds": 1})
    eventually(lambda: "was changed while it was read" in pool.log("first"), about="the refusal")
    assert not checkpoint_at(pool, job)
    pool.site.api("POST", f"/v1/jobs/{job}/cancel")
    assert first.poll() is None


def test_checkpoints_do_not_change_what_a_job_is_and_are_gone_with_it(pool, program, tmp_path, lode):
    pool.start("first")
    plain = pool.site.api("POST", "/v1/jobs?wait=60", {"command": ["echo", "same"]}).json
    again = pool.site.api("POST", "/v1/jobs?wait=60", {"command": ["echo", "same"], "checkpoint": {"files": ["x"]}}).json
    assert plain["identity"] == again["identity"] and again["tasks"]["cached"] == 1
    assert again["spec"]["checkpoint"] == {"files": ["x"], "interval_seconds": 60}
    job = pool.submit(*command(program, tmp_path, 0.05), checkpoint={"files": ["state"], "interval_seconds": 1})
    eventually(lambda: checkpoint_at(pool, job))
    assert pool.ended(job)["state"] == "succeeded"
    kept = lode.start("run", "--cache", "off", "--checkpoint", "s*", "--checkpoint-every", "5m", "--checkpoint-signal", "USR1", "--json", "--", "true",
                      program="lode")
    stdout, _ = kept.communicate(timeout=60)
    number = json.loads(stdout.splitlines()[-1])["id"]
    assert pool.job(number)["spec"]["checkpoint"] == {"files": ["s*"], "interval_seconds": 300, "signal": "USR1"}


@pytest.mark.parametrize("checkpoint, said", (
    ({"files": []}, "names no files"),
    ({}, "names no files"),
    ({"files": ["/etc/passwd"]}, "below the task's folder"),
    ({"files": ["../x"]}, "below the task's folder"),
    ({"files": ["x"], "interval_seconds": 0.1}, "interval_seconds"),
    ({"files": ["x"], "signal": "KILL"}, "cannot be asked for"),
    ({"files": ["x"], "signal": "TERM"}, "cannot be asked for"),
    ({"files": ["x"], "often": True}, "often"),
    ({"files": ["x"] * 17}, "files"),
))
def test_what_makes_no_checkpoint_is_refused(pool, checkpoint, said):
    answer = pool.site.api("POST", "/v1/jobs", {"command": ["true"], "checkpoint": checkpoint})
    assert answer.code == 400 and said in answer.json["detail"], answer


def test_a_streamed_job_has_no_checkpoints(pool, lode):
    answer = pool.site.api("POST", "/v1/jobs", {"command": ["cat"], "mode": "stream", "count": 3, "checkpoint": {"files": ["x"]}})
    assert answer.code == 400 and "streamed job" in answer.json["detail"] and "answers are kept" in answer.json["fix"]
    assert "which files" in lode("run", "--checkpoint-every", "5m", "--", "true", status=2).stderr
