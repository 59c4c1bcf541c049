"""`lode link` between a scripted home and real or scripted other sites: results, blobs, faults, crashes."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
from conftest import eventually
from scripted_home import ScriptedHome
from scripted_site import ScriptedSite

SITE_KEY_OPTIONS = ("--workers", "0", "--name", "home")


@pytest.fixture
def home(folder, make_site, make_lode, make_port):
    """The scripted home. Its key towards other sites is that of a real site, which has run once."""
    site = make_site(user=make_lode("keys"), options=SITE_KEY_OPTIONS)
    site.stop()
    home = ScriptedHome(folder / "scripted-home")
    home.port = make_port()
    home.start()
    home.keys = site.directory
    home.site_key = site.fingerprint
    yield home
    home.stop()


class Link:
    def __init__(self, lode, home, folder):
        self.lode, self.home, self.folder = lode, home, folder
        self.log_path = folder / "link.log"
        home.prepare(folder)
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = self.lode.start(
                "link", "--site-file", self.folder / "site.json", "--token-file", self.folder / "worker.token",
                "--directory", self.folder / "link", "--key", self.home.keys / "key.pem",
                "--certificate", self.home.keys / "certificate.pem", stdout=log, stderr=log)
        return self

    def kill(self):
        """kill -9; home sees its end at once, as the executor tells it."""
        self.process.kill()
        self.process.wait()
        self.home.lose_workers()

    def intents(self):
        return list((self.folder / "link" / "intents").glob("*.json"))

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")


@pytest.fixture
def link(lode, home, folder):
    link = Link(lode, home, folder / "link-of-home").start()
    yield link
    if link.process.poll() is None:
        link.process.terminate()
    assert link.process.wait(20) in (0, -signal.SIGKILL), link.log


@pytest.fixture
def make_there(make_site, make_lode, make_port, home):
    """make_there(*options): a real site that takes home's jobs, and is a place of home."""

    def make(*options):
        there = make_site(
            user=make_lode("there"), port=make_port(),
            options=("--name", "there", "--sandbox", "none", "--peer", f"home={home.site_key}@https://127.0.0.1:1", *options))
        home.place(there.fingerprint, there.url)
        return there

    return make


@pytest.fixture
def there(make_there):
    return make_there()


def done(home, job, count=1, seconds=60):
    """Awaits all results of the job and returns them in order."""
    eventually(lambda: len(home.results[job]) >= count, seconds, f"the {count} results of job {job}")
    return [home.results[job][index] for index in range(count)]


@pytest.fixture
def text(home):
    """What a stream of a result says, wherever its bytes are."""

    def read(stream):
        if isinstance(stream, dict):
            return home.blobs[stream["blob"]].decode()
        return base64.b64decode(stream).decode() if stream else ""

    return read


def jobs_there(there):
    return there.api("GET", "/v1/jobs").json["jobs"]


def test_a_small_job_comes_home_with_all_that_is_known_of_it(home, link, there, text):
    job = home.submit(there.fingerprint, {"command": ["sh", "-c", "echo out; echo err >&2; exit 3"], "count": 1})
    result = done(home, job)[0]
    assert result[:3] == [0, 0, 3] and text(result[7]) == "out\n" and text(result[8]) == "err\n"
    assert abs(result[3] / 1e6 - time.time()) < 600 and result[4] > 0 and result[6] > 0
    setup = home.setups[job][-1]
    assert setup["executable"].endswith("sh") and setup["host"].endswith(" at there")
    shown = jobs_there(there)
    assert [each["owner"] for each in shown] == [f"alice@{home.site_key.split(':')[1][:16]}"]
    eventually(lambda: not link.intents(), about="the end of the intent")


def test_a_name_that_another_site_would_not_take_is_written_otherwise(home, link, there):
    done(home, home.submit(there.fingerprint, {"command": ["true"], "count": 1}, owner="Zo\u00eb@" + "x" * 60))
    name = jobs_there(there)[0]["owner"].split("@")[0]
    assert name.startswith("Zo___xxx") and len(name) == 40


def test_files_go_there_and_outputs_and_long_logs_come_home(home, link, there):
    script = b"import sys\nopen('out.txt', 'w').write(open('in.txt').read() * 2)\nsys.stdout.write('x' * 100000)\n"
    spec = {
        "command": ["python3", "a.py"], "count": 1, "outputs": ["*.txt"],
        "files": [{"name": "a.py", "blob": home.put(script), "executable": False},
                  {"name": "in.txt", "blob": home.put(b"data\n" * 50000), "executable": False}],
    }
    result = done(home, home.submit(there.fingerprint, spec))[0]
    assert result[1:3] == [0, 0], result
    assert home.blobs[result[7]["blob"]] == b"x" * 100000
    outputs = {path: (home.blobs[digest], size) for path, digest, size, _ in result[9]}
    assert outputs["out.txt"] == (b"data\n" * 100000, 500000)


def test_a_thousand_tasks_are_reported_once_each(home, link, there, text):
    job = home.submit(there.fingerprint, {"command": ["echo", "{index}"], "count": 1000}, count=1000)
    results = done(home, job, 1000, 120)
    assert [text(result[7]) for result in results] == [f"{index}\n" for index in range(1000)]
    assert set(home.reports.values()) == {1}


def test_a_streamed_job_brings_its_answers(home, link, there):
    items = home.put(b"".join(b'"%d"\n' % i for i in range(5000)))
    job = home.submit(there.fingerprint, {"command": ["cat"], "mode": "stream", "items": items}, count=5000)
    assert done(home, job, 5000, 120) == [f'"{index}"' for index in range(5000)]
    assert set(home.reports.values()) == {1}


def test_live_output_is_passed_on(home, link, there, folder, text):
    gate = folder / "gate"
    job = home.submit(there.fingerprint, {"command": ["sh", "-c", f"echo early; while [ ! -e {gate} ]; do sleep 0.05; done"], "count": 1})
    log = eventually(lambda: home.logs[job], about="live output")[0]
    assert log[1:4] == [0, "stdout", 0] and text(log[4]) == "early\n"
    gate.touch()
    assert text(done(home, job)[0][7]) == "early\n"


def test_a_cancelled_job_is_cancelled_there(home, link, there):
    job = home.submit(there.fingerprint, {"command": ["sleep", "600"], "count": 1})
    eventually(lambda: [each for each in jobs_there(there) if each["state"] == "running"], about="the job there")
    home.cancel(job)
    eventually(lambda: [each["state"] for each in jobs_there(there)] == ["cancelled"], about="its end there")
    eventually(lambda: not link.intents(), about="the end of the intent")
    assert home.results[job] == {}


def test_a_job_that_is_ended_there_is_a_fault_that_says_so(home, link, there):
    job = home.submit(there.fingerprint, {"command": ["sleep", "600"], "count": 1})
    number = eventually(lambda: jobs_there(there), about="the job there")[0]["id"]
    assert there.api("POST", f"/v1/jobs/{number}/cancel").code == 200
    result = done(home, job)[0]
    assert result[1] == 6 and "site there cancelled the job" in result[10]


def test_a_failed_task_that_is_leased_again_runs_again_alone(home, link, there, folder):
    flag = folder / "flag"
    command = ["sh", "-c", f"echo run {{index}} >> {folder}/runs; test {{index}} != 2 || test -e {flag}"]
    job = home.submit(there.fingerprint, {"command": command, "count": 4}, count=4)
    assert [result[2] for result in done(home, job, 4)] == [0, 0, 1, 0]
    flag.touch()
    home.lease_again(there.fingerprint, job, 2, 3)
    eventually(lambda: home.results[job][2][1:3] == [0, 0], 60, "the task's success")
    assert sorted((folder / "runs").read_text().splitlines()) == ["run 0", "run 1", "run 2", "run 2", "run 3"]


def test_what_the_other_site_refuses_for_good_fails_with_the_reason(home, link, there):
    job = home.submit(there.fingerprint, {"command": ["true"], "count": 1, "data": [{"id": "doi:10.1/none", "name": "none"}]})
    result = done(home, job)[0]
    assert result[1] == 5 and "site there refused the job" in result[10] and "10.1/none" in result[10]


def test_a_site_that_takes_no_guests_is_a_problem_until_it_does(home, link, make_site, make_lode, make_port):
    there = make_site(user=make_lode("there"), port=make_port(), options=("--name", "there", "--sandbox", "none"))
    home.place(there.fingerprint, there.url)
    job = home.submit(there.fingerprint, {"command": ["true"], "count": 1})
    problem = eventually(lambda: [words for words in home.problems if words], about="the problem")[0]
    assert any("what is done is kept" in change for change in home.changes)
    assert "site there refuses" in problem and "takes no jobs" in problem
    there.stop()
    there.options += ["--peer", f"home={home.site_key}@https://127.0.0.1:1"]
    there.start()
    assert done(home, job, 1, 90)[0][1:3] == [0, 0]
    eventually(lambda: home.problems[-1] == "", about="the end of the problem")


def running_gate(there_fingerprint, home, folder, count=3):
    """A job whose first task ends at once and whose others wait for a file; each run leaves a line."""
    gate = folder / "gate"
    command = ["sh", "-c", f"echo run {{index}} >> {folder}/runs; test {{index}} = 0 || while [ ! -e {gate} ]; do sleep 0.05; done; echo {{index}}"]
    return home.submit(there_fingerprint, {"command": command, "count": count}, count=count), gate


def runs(folder):
    return sorted((folder / "runs").read_text().splitlines()) if (folder / "runs").exists() else []


@pytest.mark.parametrize("victim", ["link", "home", "there"])
def test_a_kill_in_the_middle_loses_nothing_and_runs_nothing_twice(home, link, there, folder, victim, text):
    job, gate = running_gate(there.fingerprint, home, folder)
    eventually(lambda: 0 in home.results[job] and len(runs(folder)) >= 2, 60, "the first result")
    if victim == "link":
        link.kill()
        link.start()
    elif victim == "home":
        home.stop()
        home.forget_workers()
        home.start()
    else:
        there.kill()
        there.start()
    gate.touch()
    results = done(home, job, 3, 120)
    assert [text(result[7]) for result in results] == ["0\n", "1\n", "2\n"], results
    assert runs(folder) == ["run 0", "run 1", "run 2"]
    assert home.reports[job, 0] == 1
    assert len(jobs_there(there)) == 1
    eventually(lambda: not link.intents(), about="the end of the intent")


def test_a_kill_between_accept_and_start_submits_once(home, link, make_there, folder):
    there = make_there("--workers", "0")
    job = home.submit(there.fingerprint, {"command": ["sh", "-c", f"echo run >> {folder}/runs"], "count": 1})
    eventually(lambda: jobs_there(there), about="the job there")
    link.kill()
    there.kill()
    there.options[there.options.index("--workers") + 1] = "1"
    there.start()
    link.start()
    assert done(home, job, 1, 120)[0][1:3] == [0, 0]
    assert len(jobs_there(there)) == 1 and runs(folder) == ["run"]


def test_a_link_that_is_killed_before_it_submits_leaves_one_job(home, link, there, folder):
    there.stop()
    job = home.submit(there.fingerprint, {"command": ["true"], "count": 1})
    eventually(link.intents, about="the intent")
    link.kill()
    there.start()
    link.start()
    assert done(home, job, 1, 120)[0][1:3] == [0, 0]
    assert len(jobs_there(there)) == 1


def test_a_job_cancelled_while_the_link_is_dead_ends_there_too(home, link, there, folder):
    job = home.submit(there.fingerprint, {"command": ["sleep", "600"], "count": 1})
    eventually(lambda: [each for each in jobs_there(there) if each["state"] == "running"], about="the job there")
    link.kill()
    home.waiting.clear()  # It was cancelled: nobody leases it again.
    link.start()
    eventually(lambda: [each["state"] for each in jobs_there(there)] == ["cancelled"], 120, "its end there")
    eventually(lambda: not link.intents(), about="the end of the intent")
    assert home.results[job] == {}


def test_a_site_that_is_away_is_a_problem_with_the_time(home, link, there):
    there.stop()
    job = home.submit(there.fingerprint, {"command": ["true"], "count": 1})
    problem = eventually(lambda: [words for words in home.problems if words], 60, "the problem")[0]
    assert "site there does not answer" in problem and "since 20" in problem
    there.start()
    assert done(home, job, 1, 90)[0][1:3] == [0, 0]
    eventually(lambda: home.problems[-1] == "", about="the end of the problem")


def test_a_job_that_the_other_site_has_lost_is_submitted_anew(home, link, there, folder, text):
    """The other site is restored from a backup that knows nothing of the job."""
    job, gate = running_gate(there.fingerprint, home, folder)
    eventually(lambda: 0 in home.results[job] and len(runs(folder)) >= 2, 60, "the first result")
    there.kill()
    for pid in there.workers():
        os.kill(pid, signal.SIGKILL)
    for path in there.directory.glob("lode.db*"):
        path.unlink()
    gate.touch()
    there.start()
    results = done(home, job, 3, 120)
    assert [text(result[7]) for result in results] == ["0\n", "1\n", "2\n"], results
    assert home.reports[job, 0] == 1


def test_a_report_that_home_refuses_becomes_a_fault(home, link, there):
    home.refuses = (400, "element 3 is not for me")
    job = home.submit(there.fingerprint, {"command": ["true"], "count": 1})
    result = done(home, job)[0]
    assert result[1] == 6 and "not for me" in result[10]


class Strange(ScriptedSite):
    """Another site that takes any job and tells of it what a test says."""

    def __init__(self, folder, home):
        super().__init__(folder)
        self.on("POST", r"/v1/jobs", lambda request: (201, {"id": 5}))
        self.on("POST", r"/v1/jobs/5/cancel", lambda request: (200, {}))
        self.start()
        home.place(self.fingerprint, self.url, "strange")

    def tell(self, *events):
        def stream(request):
            request.begin_events()
            for at, (name, data) in enumerate(events):
                request.event(name, data, f"{at}.0.0")

        self.on("GET", r"/v1/jobs/5/events.*", stream)


@pytest.fixture
def strange(folder, home):
    strange = Strange(folder / "strange", home)
    yield strange
    strange.stop()


@pytest.mark.parametrize("event", [
    ("result", "garbage"),
    ("result", [0]),
    ("result", [7, 0, 0, 0, 0, 0, 0]),
    ("result", [0, 99, 0, 0, 0, 0, 0]),
    ("result", [0, 0, 0, 0, -1, 0, 0]),
    ("result", [0, 0, 0, 0, 0, 0, 0, "no base64!"]),
    ("result", [0, 0, 0, 0, 0, 0, 0, None, None, [["../../etc/passwd", "sha256:" + "0" * 64, 1, 420]]]),
    ("piece", {"from": 0, "to": 100, "answers": "sha256:" + "0" * 64, "answers_size": 1}),
    ("log", {"stream": "stdin", "offset": 0, "base64": ""}),
])
def test_garbage_is_a_problem_and_nothing_of_it_gets_home(home, link, strange, event):
    strange.tell(event)
    job = home.submit(strange.fingerprint, {"command": ["true"], "count": 1})
    problem = eventually(lambda: [words for words in home.problems if words], 60, "the problem")[0]
    assert "site strange answers what is of no use" in problem
    assert home.results[job] == {}
    # It comes to its senses.
    strange.routes = [route for route in strange.routes if "events" not in route[1]]
    strange.tell(("result", [0, 0, 0, 1, 2, 3, 4]), ("end", {"state": "succeeded"}))
    assert done(home, job, 1, 90)[0][:7] == [0, 0, 0, 1, 2, 3, 4]


def test_an_answer_without_end_does_not_fill_the_memory(home, link, strange):
    def endless(request):
        request.begin_events()
        block = b"data: " + b"x" * (1 << 16) + b"\n"
        for _ in range(4096):
            request.wfile.write(block)

    strange.on("GET", r"/v1/jobs/5/events.*", endless)
    home.submit(strange.fingerprint, {"command": ["true"], "count": 1})
    eventually(lambda: [words for words in home.problems if words], 60, "the problem")
    status = open(f"/proc/{link.process.pid}/status").read()
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    assert peak_kib < 200 * 1024 or "asan" in os.environ.get("ASAN_OPTIONS", "asan"), peak_kib


def test_output_with_another_digest_is_not_taken(home, link, strange):
    wrong = hashlib.sha256(b"right").hexdigest()
    strange.on("GET", r"/v1/blobs/.*", lambda request: (200, b"wrong"))
    strange.tell(("result", [0, 0, 0, 1, 2, 3, 4, {"blob": f"sha256:{wrong}", "size": 5}]), ("end", {"state": "succeeded"}))
    job = home.submit(strange.fingerprint, {"command": ["true"], "count": 1})
    result = done(home, job, 1, 90)[0]
    assert result[1] == 6 and "digest" in result[10]
    assert f"sha256:{wrong}" not in home.blobs


def test_output_that_is_longer_than_was_said_is_not_taken(home, link, strange):
    digest = hashlib.sha256(b"x" * 1000).hexdigest()
    strange.on("GET", r"/v1/blobs/.*", lambda request: (200, b"x" * 1000))
    strange.tell(("result", [0, 0, 0, 1, 2, 3, 4, {"blob": f"sha256:{digest}", "size": 5}]), ("end", {"state": "succeeded"}))
    job = home.submit(strange.fingerprint, {"command": ["true"], "count": 1})
    assert done(home, job, 1, 90)[0][1] == 6


def test_a_stream_that_breaks_off_goes_on_behind_the_last_event(home, link, strange):
    asked = []

    def stream(request):
        asked.append(request.headers.get("Last-Event-ID"))
        request.begin_events()
        if len(asked) == 1:
            request.event("result", [0, 0, 0, 1, 2, 3, 4], "1.0.0")
            return
        request.event("result", [1, 0, 0, 1, 2, 3, 4], "2.0.0")
        request.event("end", {"state": "succeeded"}, "2.0.0")

    strange.on("GET", r"/v1/jobs/5/events.*", stream)
    job = home.submit(strange.fingerprint, {"command": ["true"], "count": 2}, count=2)
    done(home, job, 2)
    assert asked == [None, "1.0.0"]


def test_two_places_do_not_hold_each_other_up(home, link, there, strange, text):
    """One of them answers nothing at all; the jobs of the other one run."""
    import threading

    gate = threading.Event()
    strange.routes.insert(0, ("POST", r"/v1/jobs", lambda request: gate.wait(60) and None or (503, {})))
    home.submit(strange.fingerprint, {"command": ["true"], "count": 1})
    jobs = [home.submit(there.fingerprint, {"command": ["echo", str(i)], "count": 1}) for i in range(20)]
    for number, job in enumerate(jobs):
        assert text(done(home, job)[0][7]) == f"{number}\n"
    gate.set()
