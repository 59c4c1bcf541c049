"""Tasks with checkpoints give way to those of groups that have less than their share: what a worker does that is asked to, and the whole of it."""

import hashlib
import time

from conftest import eventually
from test_leaving import pool  # noqa: F401  (a fixture)
from test_workers import Polls, answer, described, hello, scripted, start_worker  # noqa: F401  (fixtures)

# Says where it begins and what it was left, and goes on until there is a file `go`; stores 42 when it is asked.
PATIENT = """
trap 'echo 42 > state; exit %d' USR1
echo "$LODE_ATTEMPT $(cat state 2>/dev/null)" >> %s/starts
until [ -e %s/go ]; do sleep 0.05; done
"""


def patient(folder, code=75):
    return "sh", "-c", PATIENT % (code, folder, folder)


def resumable(number, command, signal="USR1"):
    asked = {"signal": signal} if signal else {}
    return described(number, command, checkpoint={"files": ["state"], "interval_seconds": 3600, **asked})


def starts(folder):
    path = folder / "starts"
    return path.read_text().splitlines() if path.exists() else []


class Asked:
    """A worker of two cores with one lease of job 17, which is resumable, and one of job 18, which is not; both run."""

    def __init__(self, site, start, folder, job, *options):
        self.blobs = {}
        hello(site)
        site.on("PUT", "/v1/blobs/(.*)", lambda request: (self.blobs.update({request.match[1]: request.body}), (201, b""))[1])
        site.on("GET", "/v1/blobs/(.*)", lambda request: (200, self.blobs[request.match[1]]))
        other = described(18, ("sh", "-c", f"touch {folder}/other; until [ -e {folder}/go ]; do sleep 0.05; done"))
        first = answer(leases=[[1, 17, 0, 1], [2, 18, 0, 1]], jobs=[job, other], attempts=[[1, 1, []]])
        self.polls = Polls(site, first, lambda body: (200, answer()))
        self.worker = start(site.url, site.fingerprint, options=("--sandbox", "none", *options))
        eventually(lambda: starts(folder) == ["1 "] and (folder / "other").exists(), about="both tasks")

    def ask(self, *leases):
        self.polls.news.put(answer(**{"yield": list(leases)}))

    def said(self, name):
        return [entry for body in self.polls.bodies for entry in body.get(name, [])]

    def results_of(self, job):
        return [task for body in self.polls.bodies for result in body["results"] if result["job"] == job for task in result["tasks"]]


def test_a_lease_that_is_asked_for_goes_back_with_its_checkpoint_and_makes_room(scripted, start_worker, tmp_path):  # noqa: F811
    asked = Asked(scripted, start_worker, tmp_path, resumable(17, patient(tmp_path)))
    asked.ask(1, 99)
    eventually(lambda: asked.said("returned"), about="what was asked for")
    assert asked.said("returned") == [[1, 0, 1]]
    (checkpoint,) = asked.said("checkpoints")
    ((name, digest, size, _),) = checkpoint["files"]
    assert (checkpoint["job"], checkpoint["index"], checkpoint["attempt"], name, size) == (17, 0, 1, "state", 3)
    assert digest == "sha256:" + hashlib.sha256(b"42\n").hexdigest() and asked.blobs[digest] == b"42\n"
    # The worker does not leave, and the other task goes on.
    assert not any(body.get("leaving") or body.get("gone") for body in asked.polls.bodies)
    assert asked.results_of(17) == [] and asked.results_of(18) == []
    # The cores are free, for another task of the same job too.
    asked.polls.news.put(answer(leases=[[3, 17, 0, 1]], attempts=[[3, 2, [[name, digest, 3, 0o644]]]]))
    eventually(lambda: starts(tmp_path) == ["1 ", "2 42"], about="the next attempt")
    (tmp_path / "go").touch()
    eventually(lambda: asked.results_of(17) and asked.results_of(18), about="both results")
    assert asked.results_of(17)[0][1:3] == [0, 0] and asked.said("returned") == [[1, 0, 1]]
    assert asked.worker.poll() is None


def test_a_task_that_ends_well_when_it_is_asked_has_succeeded(scripted, start_worker, tmp_path):  # noqa: F811
    asked = Asked(scripted, start_worker, tmp_path, resumable(17, patient(tmp_path, 0)))
    asked.ask(1)
    eventually(lambda: asked.results_of(17), about="its result")
    assert asked.results_of(17)[0][1:3] == [0, 0] and asked.said("returned") == []


def test_a_task_that_does_not_heed_is_killed_when_its_notice_is_over(scripted, start_worker, tmp_path):  # noqa: F811
    script = f"trap '' TERM; echo \"$LODE_ATTEMPT \" >> {tmp_path}/starts; echo 7 > state; while :; do sleep 0.1; done"
    asked = Asked(scripted, start_worker, tmp_path, resumable(17, ("sh", "-c", script), None), "--notice", "1s")
    began = time.monotonic()
    asked.ask(1)
    eventually(lambda: asked.said("returned"), about="what was asked for")
    assert 0.9 < time.monotonic() - began < 20
    assert [entry["files"][0][2] for entry in asked.said("checkpoints")] == [2]
    assert asked.results_of(17) == [] and asked.worker.poll() is None


def test_a_lease_that_waits_yet_goes_back_at_once(scripted, start_worker, tmp_path):  # noqa: F811
    asked = Asked(scripted, start_worker, tmp_path, resumable(17, patient(tmp_path)))
    asked.polls.news.put(answer(leases=[[3, 17, 1, 2]], attempts=[[3, 1, []]]))
    eventually(lambda: any(3 in [lease[0] for lease in body["leases"]] for body in asked.polls.bodies), about="the third lease")
    asked.ask(3)
    eventually(lambda: asked.said("returned"), about="what was asked for")
    assert asked.said("returned") == [[3, 1, 2]] and starts(tmp_path) == ["1 "]
    (tmp_path / "go").touch()
    eventually(lambda: asked.results_of(17) and asked.results_of(18), about="the results of what ran")


def test_a_worker_that_leaves_while_a_task_gives_way_gives_back_all(scripted, start_worker, tmp_path):  # noqa: F811
    script = f"trap '' TERM USR1; echo \"$LODE_ATTEMPT \" >> {tmp_path}/starts; while :; do sleep 0.1; done"
    asked = Asked(scripted, start_worker, tmp_path, resumable(17, ("sh", "-c", script)), "--notice", "2s")
    asked.ask(1)
    eventually(lambda: "event=gives-way" in (tmp_path / "worker.log").read_text(), about="the interruption")
    asked.worker.terminate()
    assert asked.worker.wait(30) == 0
    assert sorted(asked.said("returned")) == [[1, 0, 1], [2, 0, 1]]
    assert asked.polls.bodies[-1].get("gone")


STEPS = 2000

# Does steps, a tenth of a second each until there is a file `hurry`, says each in a file that all attempts share, and replaces its state by
# rename. When it is told to end it waits until there is a file `heed`.
PROGRAM = """
import os, signal, sys, time
folder, index = sys.argv[1:]
done = int(open("state").read()) if os.environ.get("LODE_CHECKPOINT") else 0

def end(*_):
    while not os.path.exists(folder + "/heed"):
        time.sleep(0.05)
    sys.exit(75)

signal.signal(signal.SIGTERM, end)
with open(f"{folder}/steps-{index}", "a", buffering=1) as log:
    while done < %d:
        time.sleep(0 if os.path.exists(folder + "/hurry") else 0.1)
        log.write(f"{os.environ['LODE_ATTEMPT']} {done}\\n")
        done += 1
        with open("state.new", "w") as file:
            file.write(str(done))
        os.rename("state.new", "state")
""" % STEPS


def steps(folder, index):
    path = folder / f"steps-{index}"
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_group_that_waits_gets_its_share_of_what_checkpointed_tasks_hold_for_minutes(pool, lode, tmp_path):  # noqa: F811
    for group in ("physics", "biology"):
        lode("group", "create", group)
    (tmp_path / "steps.py").write_text(PROGRAM)
    small = {"memory_bytes": 64 << 20, "disk_bytes": 1 << 20, "retries": 0}
    pool.start("desk", "--cpus", "2")
    long = pool.submit("/usr/bin/python3", str(tmp_path / "steps.py"), str(tmp_path), "{index}", group="physics", count=2,
                       checkpoint={"files": ["state"], "interval_seconds": 2}, **small)
    # They have had their ten seconds.
    eventually(lambda: all(len(steps(tmp_path, index)) > 100 for index in (0, 1)), about="both tasks at work")
    began = time.monotonic()
    brief = pool.submit("sh", "-c", f"touch {tmp_path}/brief; until [ -e {tmp_path}/end ]; do sleep 0.05; done", group="biology", **small)
    reason = '1 task of group "physics", which has more than its share, is giving up its cores for it'
    eventually(lambda: lode.json("why", str(brief))["why"].startswith(reason), about="the reason")
    (tmp_path / "heed").touch()
    eventually(lambda: (tmp_path / "brief").exists(), about="the brief job")
    assert time.monotonic() - began < 15
    # One of the two goes on beside it, and nothing of the other is to blame.
    assert pool.job(long)["tasks"]["running"] == 1 and pool.job(long)["tasks"]["waiting"] == 1
    (index,) = [index for index in (0, 1) if "it gave up its cores for another group" in lode.json("why", f"{long}/{index}")["why"]]
    assert pool.site.api("GET", f"/v1/jobs/{long}/tasks?state=running").json["tasks"][0]["index"] == 1 - index
    (tmp_path / "end").touch()
    assert pool.ended(brief)["state"] == "succeeded"
    eventually(lambda: steps(tmp_path, index)[-1][0] == 2, about="the task that gave way")
    (tmp_path / "hurry").touch()
    ended = pool.ended(long)
    assert ended["state"] == "succeeded" and not any(ended["failures"].values()), ended
    for each in (0, 1):
        done = steps(tmp_path, each)
        assert {step for _, step in done} == set(range(STEPS)) and len(done) <= STEPS + 1, len(done)
        assert {attempt for attempt, _ in done} == ({1, 2} if each == index else {1})
        record = pool.site.api("GET", f"/v1/jobs/{long}/tasks/{each}").json
        assert record["failed_attempts"] == [] and record["attempts"] == 1, record
