"""Tasks with checkpoints give way to those of groups that have less than their share: what a worker does that is asked to, and the whole of it."""

import hashlib
import time

import pytest
from conftest import eventually
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
