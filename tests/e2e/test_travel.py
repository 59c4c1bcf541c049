"""Jobs that travel between two real sites, with real workers: submitted at one, run at the other."""

import datetime
import json
import os
import pathlib
import signal

import pytest
from conftest import MARK, eventually, processes_of


@pytest.fixture
def sites(make_site, make_lode):
    """Two sites that know each other by --peer: `home`, where the user is, without workers, and `there`."""
    home = make_site(user=make_lode("home"), options=["--name", "home", "--workers", "0", "--sandbox", "none"])
    there = make_site(user=make_lode("there"), options=["--name", "there", "--workers", "2", "--sandbox", "none"])
    for site, other, name in ((home, there, "there"), (there, home, "home")):
        site.stop()
        site.options += ["--peer", f"{name}={other.fingerprint}@{other.url}"]
    return home.start(), there.start()


def submit(home, spec, wait=0):
    answer = home.api("POST", f"/v1/jobs?wait={wait}", {"at": "there", **spec})
    assert answer.code == 201, answer
    return answer.json


def ended(home, job, seconds=90):
    return eventually(
        lambda: (lambda shown: shown if shown["state"] in ("succeeded", "failed", "cancelled") else None)(home.api("GET", f"/v1/jobs/{job}").json),
        seconds, f"the end of job {job}")


def pids_of(site, words):
    """Processes of the site whose command line begins with these words behind the program, and names the folder of the first one in the site's."""
    found = []
    for pid in processes_of(site.user.folder):
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if line[1:2] == [words] and f"{site.directory}/".encode() + words in b"\0".join(line):
            found.append(pid)
    return found


def link_pids(site):
    return pids_of(site, b"link")


def worker_pids(site):
    return pids_of(site, b"worker")


def lines(path):
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_a_job_runs_there_and_its_results_are_here(sites):
    home, there = sites
    job = submit(home, {"command": ["sh", "-c", "echo hello; echo more > out.txt"], "outputs": ["*.txt"]}, wait=60)
    assert job["state"] == "succeeded" and job["exit_code"] == 0, job
    number = job["id"]
    assert home.api("GET", f"/v1/jobs/{number}/tasks/0/stdout").body == b"hello\n"
    record = home.api("GET", f"/v1/jobs/{number}/tasks/0").json
    assert record["host"].endswith("at there") and record["wall_seconds"] > 0 and record["peak_memory_bytes"] > 0
    output = home.api("GET", f"/v1/jobs/{number}/outputs").json["outputs"][0]
    assert home.api("GET", f"/v1/blobs/{output['digest']}").body == b"more\n"
    assert len(there.api("GET", "/v1/jobs").json["jobs"]) == 1


def test_a_job_of_a_thousand_tasks(sites):
    home, _ = sites
    job = submit(home, {"command": ["echo", "{index}"], "count": 1000})
    shown = ended(home, job["id"], 120)
    assert shown["tasks"]["succeeded"] == 1000
    assert home.api("GET", f"/v1/jobs/{job['id']}/tasks/999/stdout").body == b"999\n"


def test_a_streamed_job_answers_in_order(sites):
    home, _ = sites
    items = b"".join(b'"%d"\n' % i for i in range(3000))
    import hashlib

    digest = "sha256:" + hashlib.sha256(items).hexdigest()
    assert home.api("PUT", f"/v1/blobs/{digest}", items).code == 201
    job = submit(home, {"command": ["cat"], "mode": "stream", "items": digest})
    assert ended(home, job["id"], 120)["state"] == "succeeded"
    assert home.api("GET", f"/v1/jobs/{job['id']}/answers").body == items


def test_only_failed_tasks_run_again_after_a_retry(sites, folder):
    home, _ = sites
    flag = folder / "flag"
    command = ["sh", "-c", f"echo {{index}} >> {folder}/runs; test {{index}} != 1 || test -e {flag}"]
    job = submit(home, {"command": command, "count": 3})
    assert ended(home, job["id"])["state"] == "failed"
    flag.touch()
    assert home.api("POST", f"/v1/jobs/{job['id']}/retry").code == 200
    eventually(lambda: home.api("GET", f"/v1/jobs/{job['id']}").json["state"] == "succeeded", 90, "the success")
    assert lines(folder / "runs") == ["0", "1", "1", "2"]


def test_a_cancel_here_is_a_cancel_there(sites):
    home, there = sites
    job = submit(home, {"command": ["sleep", "600"]})
    eventually(lambda: [each for each in there.api("GET", "/v1/jobs").json["jobs"] if each["state"] == "running"], 60, "the job there")
    assert home.api("POST", f"/v1/jobs/{job['id']}/cancel").code == 200
    eventually(lambda: there.api("GET", "/v1/jobs").json["jobs"][0]["state"] == "cancelled", 60, "its end there")


def test_why_says_that_the_other_site_is_away(sites):
    home, there = sites
    there.stop()
    job = submit(home, {"command": ["true"]})
    why = eventually(lambda: (lambda text: text if "does not answer" in text else None)(home.api("GET", f"/v1/jobs/{job['id']}/why").json["why"]), 60, "the reason")
    assert "there" in why
    there.start()
    assert ended(home, job["id"])["state"] == "succeeded"


def test_why_says_since_when_nothing_is_heard_of_the_other_site(sites):
    """It is not dead, so no call fails for long: it has stopped, as one behind a partition seems to."""
    home, there = sites
    job = submit(home, {"command": ["sleep", "600"]})["id"]
    why = lambda: home.api("GET", f"/v1/jobs/{job}/why").json["why"]
    eventually(lambda: [each for each in there.api("GET", "/v1/jobs").json["jobs"] if each["state"] == "running"], 60, "the job there")
    eventually(lambda: "it runs there" in why(), 60, "its run")
    stopped = datetime.datetime.now(datetime.timezone.utc)
    os.kill(there.process.pid, signal.SIGSTOP)
    try:
        said = eventually(lambda: (lambda text: text if "nothing is heard of it (since " in text else None)(why()), 60, "the silence")
    finally:
        os.kill(there.process.pid, signal.SIGCONT)
    since = datetime.datetime.fromisoformat(said.split("(since ")[1].split(")")[0].replace("Z", "+00:00"))
    assert since <= stopped + datetime.timedelta(seconds=1), "when it was last heard, not when that was noticed"
    eventually(lambda: "nothing is heard" not in why(), 60, "its return")
    home.api("POST", f"/v1/jobs/{job}/cancel")


def test_a_submission_that_is_repeated_gives_its_job_although_the_other_site_is_away(sites):
    home, there = sites
    spec = {"at": "there", "command": ["sleep", "600"]}
    key = {"Idempotency-Key": "5e0d"}
    job = home.api("POST", "/v1/jobs", spec, headers=key).json["id"]
    there.stop()
    assert home.api("POST", "/v1/jobs", spec, headers=key).json["id"] == job
    other = home.api("POST", "/v1/jobs", {**spec, "command": ["true"]}, headers=key)
    assert other.code == 422 and f"it made job {job}" in other.json["detail"]
    there.start()


@pytest.mark.parametrize("victim", ["home", "link", "there", "all"])
def test_a_kill_loses_nothing_and_nothing_runs_twice(sites, folder, victim):
    home, there = sites
    gate = folder / "gate"
    command = ["sh", "-c", f"echo {{index}} >> {folder}/runs; test {{index}} = 0 || while [ ! -e {gate} ]; do sleep 0.05; done; echo {{index}}"]
    job = submit(home, {"command": command, "count": 3})["id"]
    eventually(lambda: home.api("GET", f"/v1/jobs/{job}").json["tasks"]["succeeded"] == 1 and len(lines(folder / "runs")) >= 2, 60, "the first result")
    if victim in ("link", "all"):
        for pid in link_pids(home):
            os.kill(pid, signal.SIGKILL)
    if victim in ("home", "all"):
        home.kill()
        home.start()
    if victim in ("there", "all"):
        there.kill()
        there.start()
    gate.touch()
    shown = ended(home, job, 120)
    assert shown["state"] == "succeeded", shown
    for index in range(3):
        assert home.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body == b"%d\n" % index
    assert lines(folder / "runs") == ["0", "1", "2"]
    assert len(there.api("GET", "/v1/jobs").json["jobs"]) == 1


def test_the_link_ends_with_its_site(sites):
    home, there = sites
    assert len(eventually(lambda: link_pids(home), about="the link")) == 1
    home.stop()
    assert link_pids(home) == []


def test_at_names_a_site_that_is_known(sites):
    home, _ = sites
    answer = home.api("POST", "/v1/jobs", {"at": "nowhere", "command": ["true"]})
    assert answer.code == 404 and "nowhere" in answer.json["detail"]
    assert home.api("POST", "/v1/jobs", {"at": "home", "command": ["true"]}).json["place"] is None


def test_what_attempts_there_print_is_not_mixed(sites, tmp_path):
    """Workers there are killed while a task of home's user runs: his terminal has what each attempt printed from its beginning, and says that it began again."""
    home, there = sites
    count = tmp_path / "count"
    command = f"echo x >> {count}; n=$(wc -l < {count}); echo attempt $n printed this; [ $n = 2 ] || exec sleep 600; sleep 1; echo end of $n"

    def follow(name, *words):
        with open(tmp_path / f"{name}.out", "wb") as out, open(tmp_path / f"{name}.err", "wb") as err:
            process = home.user.start(*words, stdout=out, stderr=err)
        eventually(lambda: "printed this\n" in (tmp_path / f"{name}.out").read_text(), 60, "the first attempt's output at home")
        return process

    followers = {"run": follow("run", "run", "--at", "there", "--cache", "off", "--", "sh", "-c", command)}
    number = max(job["id"] for job in home.api("GET", "/v1/jobs").json["jobs"])
    followers["job"] = follow("job", "logs", "-f", str(number))
    followers["task"] = follow("task", "logs", "-f", f"{number}/0")
    for pid in worker_pids(there):
        os.kill(pid, signal.SIGKILL)
    for name, process in followers.items():
        said = (tmp_path / f"{name}.err")
        assert process.wait(120) == 0, said.read_text()
        assert (tmp_path / f"{name}.out").read_text().splitlines() == ["attempt 1 printed this", "attempt 2 printed this", "end of 2"], name
        assert "began again (attempt 2)" in said.read_text(), name
    assert home.api("GET", f"/v1/jobs/{number}/tasks/0").json["attempts"] == 2


def test_what_a_users_own_worker_there_computed_is_for_him_alone_here(sites, tmp_path):
    home, there = sites
    there.stop()
    there.options += ["--workers", "0"]
    there.start()
    job = submit(home, {"command": ["echo", "mine"]})["id"]
    owner = eventually(lambda: [each["owner"] for each in there.api("GET", "/v1/jobs").json["jobs"]], 60, "the job there")[0]
    made = there.api("POST", "/v1/tokens", {"class": "user", "user": owner})
    assert made.code == 201, made
    token = tmp_path / "user.token"
    token.touch(0o600)
    token.write_text(made.json["token"])
    with open(tmp_path / "worker.log", "wb") as log:
        worker = there.user.start("worker", "--site", there.url, "--pin", there.fingerprint, "--token-file", token, "--directory", tmp_path / "worker",
                                  "--name", "laptop", "--sandbox", "none", stdout=log, stderr=log)
    try:
        assert ended(home, job)["state"] == "succeeded"
    finally:
        worker.terminate()
        worker.wait(60)
    record = home.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["results_for"] == f"user:{record['owner']}", record
