"""A worker and its site when they do not understand each other: refused reports, lost answers, revoked tokens."""

import json
import queue
import threading
import time

import pytest
from conftest import eventually
from scripted_site import ScriptedSite


def hello(site):
    """Answers registrations: each gets the next number."""
    numbers = iter(range(1, 1000))
    site.on("POST", "/v1/workers", lambda request: (201, {"worker": next(numbers), "lease_seconds": 30, "wait_seconds": 20}))


def described(number=17, command=("true",), **fields):
    """A job as a worker is told of it."""
    return {"job": number, "mode": "command", "command": list(command), "environment": {}, "network": False, "cpus": 1,
            "memory_bytes": 1 << 28, "disk_bytes": 1 << 28, "walltime_seconds": 60, "outputs": [], "files": [], "items": None,
            "data": [], **fields}


def answer(**fields):
    return {"leases": [], "jobs": [], "cancel": [], "drop_jobs": [], "drain": False, **fields}


@pytest.fixture
def scripted(tmp_path):
    site = ScriptedSite(tmp_path / "scripted").start()
    yield site
    site.stop()


@pytest.fixture
def start_worker(lode, tmp_path):
    """start_worker(url, pin, token): starts `lode worker`; its log is at worker.log."""
    workers = []

    def start(url, pin, token="lode_" + "w" * 43, options=()):
        (tmp_path / "worker.token").write_text(token + "\n")
        with open(tmp_path / "worker.log", "ab") as log:
            words = ["worker", "--site", url, "--pin", pin, "--token-file", tmp_path / "worker.token", "--cpus", "2"]
            workers.append(lode.start(*words, "--directory", tmp_path / "worker", "--name", "desk", *options, stdout=log, stderr=log))
        return workers[-1]

    yield start
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait(30)


def log_of(tmp_path):
    return (tmp_path / "worker.log").read_text(errors="replace")


class Polls:
    """Answers polls: `report(body)` those that report; those that wait get what is put into `news`, or nothing when their time is over."""

    def __init__(self, site, first, report):
        self.bodies = []
        self.news = queue.Queue()
        self.news.put(first)
        self.report = report
        site.on("POST", r"/v1/workers/(\d+)/poll", self.take)

    def take(self, request):
        body = json.loads(request.body)
        if body["wait_seconds"] == 0:
            self.bodies.append(body)
            return self.report(body)
        try:
            return 200, self.news.get(timeout=body["wait_seconds"])
        except queue.Empty:
            return 200, answer()

    def results(self):
        return [task for body in self.bodies for result in body["results"] for task in result["tasks"]]


def problem(code, detail):
    return code, {"status": code, "detail": detail, "fix": ""}, {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize("code", [400, 409, 413])
def test_a_refused_report_is_said_and_given_up_for_the_task_to_run_again(scripted, start_worker, tmp_path, code):
    hello(scripted)
    first = answer(leases=[[1, 17, 0, 1], [2, 18, 0, 1]], jobs=[described(17), described(18, ["sh", "-c", "exit 3"])])

    def report(body):
        # What job 17's task really did is not taken.
        bad = any(result["job"] == 17 and task[1] == 0 for result in body["results"] for task in result["tasks"])
        return problem(code, "result 0 is malformed") if bad else (200, answer())

    polls = Polls(scripted, first, report)
    worker = start_worker(scripted.url, scripted.fingerprint)
    eventually(lambda: any(result["job"] == 17 and result["tasks"][0][1] == 6 for body in polls.bodies for result in body["results"]))
    (blamed,) = [task for body in polls.bodies for result in body["results"] if result["job"] == 17 for task in result["tasks"] if task[1] == 6]
    assert "the site refused the result: result 0 is malformed" in blamed[10]
    assert "event=report-refused" in log_of(tmp_path) and f"code={code}" in log_of(tmp_path)
    # The other job's result was not to blame, and came as it was.
    eventually(lambda: any(result["job"] == 18 and result["tasks"][0][1:3] == [0, 3] for body in polls.bodies for result in body["results"]))
    assert worker.poll() is None
    # Nothing is repeated for ever: what the worker has to say next is the result of the next task, and what came before that is all.
    polls.news.put(answer(leases=[[3, 19, 0, 1]], jobs=[described(19)]))
    eventually(lambda: any(result["job"] == 19 and result["tasks"] for body in polls.bodies for result in body["results"]))
    count = next(at for at, body in enumerate(polls.bodies) if any(result["job"] == 19 for result in body["results"]))
    refused = sum(1 for body in polls.bodies if any(r["job"] == 17 and r["tasks"][0][1] == 0 for r in body["results"]))
    assert refused <= 2 and count <= 6, polls.bodies


def test_refused_live_output_is_given_up_and_the_task_goes_on(scripted, start_worker, tmp_path):
    hello(scripted)
    scripted.on("PUT", r"/v1/blobs/.*", lambda request: (201, {}))
    script = "echo live; until [ -e /data/signal/go ]; do sleep 0.05; done; echo end"
    (tmp_path / "signal").mkdir()
    data = [{"name": "signal", "roots": [{"path": str(tmp_path / "signal"), "mount": "", "kind": "folder"}], "files": []}]
    first = answer(leases=[[1, 17, 0, 1]], jobs=[described(17, ["sh", "-c", script], data=data)])
    polls = Polls(scripted, first, lambda body: problem(400, "logs[0] is malformed") if body.get("logs") else (200, answer()))
    start_worker(scripted.url, scripted.fingerprint)
    eventually(lambda: "logs[0] is malformed" in log_of(tmp_path))
    (tmp_path / "signal" / "go").touch()
    eventually(lambda: any(task[1:3] == [0, 0] for task in polls.results()))


def test_a_worker_whose_every_report_is_refused_ends_and_says_why(scripted, start_worker, tmp_path):
    hello(scripted)
    Polls(scripted, answer(leases=[[1, 17, 0, 1]], jobs=[described()]), lambda body: problem(400, "unknown field \"results\""))
    worker = start_worker(scripted.url, scripted.fingerprint)
    assert worker.wait(60) != 0
    assert "the site refuses what this worker reports" in log_of(tmp_path) and "same version" in log_of(tmp_path)


def test_a_lost_answer_that_told_of_a_job_is_made_good_by_registering_again(scripted, start_worker, tmp_path):
    hello(scripted)
    said = []
    is_over = threading.Event()

    def poll(request):
        body = json.loads(request.body)
        number = int(request.match.group(1))
        said.append((number, body["leases"]))
        if number == 1 and len(said) == 1:
            return 200, answer(leases=[[1, 17, 0, 1]], jobs=[described(17, ["sleep", "600"])])
        if number == 1 and body["leases"]:
            return 200, answer(leases=[[2, 18, 0, 1]])  # Of a job that a lost answer told of.
        is_over.wait(body["wait_seconds"])
        return 200, answer()

    scripted.on("POST", r"/v1/workers/(\d+)/poll", poll)
    start_worker(scripted.url, scripted.fingerprint)
    eventually(lambda: any(number == 2 and leases == [[1, 17, 0, 1]] for number, leases in said))
    is_over.set()


def test_a_worker_says_what_it_holds_until_it_hears_that_it_may_go(scripted, start_worker, tmp_path):
    hello(scripted)
    waited = []
    is_over = threading.Event()

    def poll(request):
        body = json.loads(request.body)
        if body["wait_seconds"] == 0:
            return 200, answer()
        waited.append(body.get("jobs"))
        if len(waited) == 1:
            return 200, answer(leases=[[1, 17, 0, 1]], jobs=[described(17, ["true"])])
        if len(waited) == 4:
            return 200, answer(drop_jobs=[17])
        is_over.wait(0.2 if len(waited) < 5 else 20)
        return 200, answer()

    scripted.on("POST", r"/v1/workers/(\d+)/poll", poll)
    start_worker(scripted.url, scripted.fingerprint)
    eventually(lambda: len(waited) >= 5)
    assert waited[:5] == [None, [17], [17], [17], None], waited
    eventually(lambda: not any((tmp_path / "worker" / "jobs").iterdir()))
    is_over.set()


def test_a_worker_whose_token_is_revoked_ends_soon(make_site, lode, start_worker, tmp_path):
    site = make_site(options=["--workers", "0"])
    made = lode.json("token", "create", "desk", "--role", "worker")
    worker = start_worker(site.url, site.fingerprint, made["token"])
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"], 60)
    job = site.api("POST", "/v1/jobs?wait=60", {"command": ["echo", "here"]}).json
    assert job["state"] == "succeeded"
    began = time.monotonic()
    lode("token", "revoke", str(made["token_id"]))
    assert worker.wait(60) != 0
    # Its poll may wait 20 s and it looks for the site for minutes: neither is waited for.
    assert time.monotonic() - began < 25
    assert "refuses this worker's token" in log_of(tmp_path), log_of(tmp_path)


def test_a_worker_takes_up_a_token_that_was_renewed(make_site, lode, start_worker, tmp_path):
    site = make_site(options=["--workers", "0"])
    made = lode.json("token", "create", "desk", "--role", "worker")
    worker = start_worker(site.url, site.fingerprint, made["token"])
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"], 60)
    renewed = lode.json("token", "create", "desk", "--role", "worker")
    (tmp_path / "worker.token").write_text(renewed["token"] + "\n")
    lode("token", "revoke", str(made["token_id"]))
    job = site.api("POST", "/v1/jobs?wait=60", {"command": ["echo", "here"], "cache": "off"}).json
    assert job["state"] == "succeeded" and worker.poll() is None


def test_a_worker_that_was_given_graphics_processors_hands_out_these(make_site, lode, start_worker, tmp_path):
    given = {"CUDA_VISIBLE_DEVICES": "2,GPU-8932f937-d72c"}
    site = make_site(options=["--workers", "2"], environment=given)
    (local,) = eventually(lambda: site.api("GET", "/v1/workers").json["workers"], 60)
    assert local["gpus"] == 2
    gate = tmp_path / "gate"
    gate.mkdir()
    lode("data", "add", "t:gate", gate)
    script = "echo $CUDA_VISIBLE_DEVICES; until [ -e /data/gate/go ]; do sleep 0.05; done"
    job = lode("submit", "--count", "3", "--cpus", "0.1", "--gpus", "1", "--data", "t:gate", "--", "sh", "-c", script).stdout.split()[-1]
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 2)
    (gate / "go").touch()
    assert lode("wait", job).returncode == 0
    names = [lode("logs", f"{job}/{index}").stdout.strip() for index in range(3)]
    assert sorted(set(names)) == ["2", "GPU-8932f937-d72c"], names
    both = lode("run", "--gpus", "2", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert both.stdout == "2,GPU-8932f937-d72c\n"
    refused = lode("worker", "--site", site.url, "--gpus", "3", environment=given, status=2)
    assert "more than the 2 that CUDA_VISIBLE_DEVICES has" in refused.stderr


def test_a_worker_without_graphics_processors_offers_none(make_site, lode, start_worker):
    site = make_site(options=["--workers", "1"], environment={"CUDA_VISIBLE_DEVICES": "NoDevFiles"})
    (local,) = eventually(lambda: site.api("GET", "/v1/workers").json["workers"], 60)
    assert local["gpus"] == 0
    made = lode.json("token", "create", "desk", "--role", "worker")
    start_worker(site.url, site.fingerprint, made["token"], ["--gpus", "0"])
    both = eventually(lambda: (lambda all: len(all) == 2 and all)(site.api("GET", "/v1/workers").json["workers"]), 60)
    assert [worker["gpus"] for worker in both] == [0, 0]
