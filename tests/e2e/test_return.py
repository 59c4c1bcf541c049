"""Workers that fall silent and come back: they are missed within seconds, and what they did is used where nobody else did it."""

import hashlib
import os
import re
import signal
import time

import pytest
from conftest import Lode, eventually
from networks import FederationApart, make_network
from office import Office
from test_leaving import pool, starts  # noqa: F401  (a fixture)


def brief(folder, name="go"):
    """A command that says where it was started, and ends by itself once there is a file, whatever its worker does."""
    return "sh", "-c", f"echo start >> {folder}/starts; until [ -e {folder}/{name} ]; do sleep 0.05; done; echo done"


def lost(pool, name):
    workers = pool.site.api("GET", "/v1/workers").json["workers"]
    return [worker["id"] for worker in workers if worker["name"] == name and worker["state"] == "lost"]


def test_what_a_silent_worker_did_is_used_when_nobody_else_did_it(pool, tmp_path):
    first = pool.start("first")
    job = pool.submit(*brief(tmp_path))
    eventually(lambda: starts(tmp_path) == 1)
    first.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    eventually(lambda: lost(pool, "first"), 20, "the site's notice")
    assert 2 < time.monotonic() - began < 10
    assert pool.job(job)["state"] in ("waiting", "running") and pool.job(job)["tasks"]["running"] == 0
    (tmp_path / "go").touch()
    first.send_signal(signal.SIGCONT)
    assert pool.ended(job)["state"] == "succeeded"
    assert starts(tmp_path) == 1
    eventually(lambda: pool.state("first") == "idle", about="the worker's return")


def test_what_a_silent_worker_runs_is_attached_again(pool, tmp_path):
    first = pool.start("first")
    job = pool.submit(*brief(tmp_path))
    eventually(lambda: starts(tmp_path) == 1)
    first.send_signal(signal.SIGSTOP)
    eventually(lambda: lost(pool, "first"), 20, "the site's notice")
    first.send_signal(signal.SIGCONT)
    eventually(lambda: pool.job(job)["tasks"]["running"] == 1, about="the return of its task")
    (tmp_path / "go").touch()
    assert pool.ended(job)["state"] == "succeeded"
    assert starts(tmp_path) == 1


def test_what_a_silent_worker_did_is_dropped_when_another_did_it(pool, tmp_path):
    first = pool.start("first")
    job = pool.submit(*brief(tmp_path))
    eventually(lambda: starts(tmp_path) == 1)
    first.send_signal(signal.SIGSTOP)
    pool.start("second")
    eventually(lambda: starts(tmp_path) == 2, about="the second attempt")
    (tmp_path / "go").touch()
    assert pool.ended(job)["state"] == "succeeded"
    record = pool.site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["worker"] == "second"
    first.send_signal(signal.SIGCONT)
    eventually(lambda: pool.state("first") == "idle", about="the worker's return")
    assert pool.site.api("GET", f"/v1/jobs/{job}/tasks/0").json == record
    assert pool.job(job)["tasks"]["succeeded"] == 1
    # It serves on as if nothing had happened.
    pool.processes["second"].kill()
    again = pool.submit("echo", "again")
    assert pool.ended(again)["state"] == "succeeded"


def test_the_first_result_counts_and_ends_the_attempt_of_the_other(pool, tmp_path):
    first = pool.start("first")
    # The first attempt ends when it is told; the second one never.
    script = f"echo start >> {tmp_path}/starts; [ $(wc -l < {tmp_path}/starts) = 1 ] || exec sleep 600; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo over > {tmp_path}/over"
    job = pool.submit("sh", "-c", script)
    eventually(lambda: starts(tmp_path) == 1)
    first.send_signal(signal.SIGSTOP)
    pool.start("second")
    eventually(lambda: starts(tmp_path) == 2, about="the second attempt")
    (tmp_path / "go").touch()
    eventually((tmp_path / "over").exists, about="the end of the first attempt, beside its worker that stands still")
    first.send_signal(signal.SIGCONT)
    assert pool.ended(job)["state"] == "succeeded"
    eventually(lambda: pool.state("second") == "idle", 30, "the end of the second attempt")


@pytest.fixture
def network():
    network = make_network()
    yield network
    network.close()


def test_a_worker_behind_a_cut_is_missed_within_five_seconds(request, folder, network):
    apart = FederationApart(folder, network)
    request.node.sites = apart.members
    site = apart.site("ocean")
    there = Lode(folder, folder / "desk")
    node = network.node("desk")
    there.prefix = node.prefix
    words = ["worker", "--site-file", site.directory / "site.json", "--token-file", site.directory / "worker.token", "--directory", folder / "w"]
    worker = there.start(*words, "--name", "desk", "--cpus", "1", "--sandbox", "none")
    try:
        eventually(lambda: site.api("GET", "/v1/workers").json["workers"], about="the worker")
        job = site.api("POST", "/v1/jobs", {"command": brief(folder), "cache": "off"}).json["id"]
        eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
        # It is heard while it runs, for longer than a lease.
        began = time.monotonic()
        while time.monotonic() - began < 7:
            states = [each["state"] for each in site.api("GET", "/v1/workers").json["workers"]]
            assert states == ["busy"], states
            time.sleep(0.2)
        cut_at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        network.cut(site.node, node)
        began = time.monotonic()
        eventually(lambda: site.api("GET", "/v1/workers").json["workers"][0]["state"] == "lost", 20, "the site's notice")
        assert time.monotonic() - began < 8  # Five, and what a busy machine adds.
        network.heal()
        eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1, about="the return of its task")
        (folder / "go").touch()
        assert site.api("GET", f"/v1/jobs/{job}?wait=60").json["state"] == "succeeded"
        assert starts(folder) == 1
        record = site.api("GET", f"/v1/jobs/{job}/tasks/0").json
        # The loss was noted, and yet it is the attempt of before that counts.
        assert record["started_at"] < cut_at and record["attempts"] == 2, record
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
        apart.stop()


@pytest.fixture
def idle_behind_a_switch(folder, network):
    """A site, the machine of an idle worker whose poll waits there, and what the site says of that worker: its id and state."""
    office = Office(folder, network)
    site = office.site("ocean")
    desk = office.machine("desk")
    office.worker(desk, site, "--sandbox", "none")

    def said():
        # The newest: an earlier life of it may be listed as lost.
        workers = site.api("GET", "/v1/workers").json["workers"]
        return max((worker["id"], worker["state"]) for worker in workers)

    eventually(lambda: site.api("GET", "/v1/workers").json["workers"], about="the worker")
    yield network, site, desk, said
    office.stop()


def test_an_idle_worker_behind_a_cut_is_missed_within_five_seconds(idle_behind_a_switch):
    network, site, desk, said = idle_behind_a_switch
    first, _ = said()
    # Its poll waits, and its machine has been asked after once: it answered long after what it last said by itself.
    eventually(lambda: any(each.heard_data - each.heard > 1 for each in site.node.connections(desk.node)), about="the first question")
    network.cut(site.node, desk.node)
    began = time.monotonic()
    eventually(lambda: said() == (first, "lost"), 20, "the site's notice")
    assert 2 < time.monotonic() - began < 6  # Five, and what a busy machine adds.
    # It does not wait for the end of its poll either, of which the site knows nothing any more.
    network.heal()
    began = time.monotonic()
    eventually(lambda: said()[1] == "idle", 30, "the worker's return")
    assert said()[0] > first and time.monotonic() - began < 15


def test_an_idle_worker_is_not_lost_by_a_hiccup_of_two_seconds(idle_behind_a_switch):
    network, site, desk, said = idle_behind_a_switch
    first, _ = said()

    def connections():
        assert said() == (first, "idle")
        return site.node.connections(desk.node)

    # The machine is asked two seconds after it was heard, and once more a second later. Of these questions the hiccup swallows the first, or both: then the connection ends
    # just behind it, and the worker, which hears of that, polls on a new one.
    for silence in (0.1, 0.6, 1.1):
        eventually(lambda: any(silence <= each.heard < silence + 0.1 for each in connections()), about="the moment for the cut")
        network.cut(site.node, desk.node)
        began = time.monotonic()
        while time.monotonic() - began < 2:
            connections()
        network.heal()
        healed = time.monotonic()
        eventually(lambda: any(time.monotonic() - each.heard > healed for each in connections()), about="a word of it")
    while time.monotonic() - healed < 3:
        connections()


@pytest.mark.parametrize("lease", ("1s", "31s"))
def test_a_lease_out_of_bounds_is_refused(lode, lease):
    assert "from 2s to 30s" in lode("site", "--lease", lease, status=2).stderr


def test_a_job_that_outlived_the_site_leaves_nothing_at_its_worker(pool, tmp_path):
    """The site knows no more whom it had told of the job, and cannot say that it has ended."""
    pool.start("first")
    script = b"exit 0\n"
    digest = f"sha256:{hashlib.sha256(script).hexdigest()}"
    assert pool.site.api("PUT", f"/v1/blobs/{digest}", script).code in (200, 201)
    job = pool.submit(*brief(tmp_path), files=[{"name": "a.sh", "blob": digest, "executable": False}])
    eventually(lambda: starts(tmp_path) == 1)
    jobs = tmp_path / "first" / "jobs"
    assert [each.name for each in jobs.iterdir()] == [str(job)]
    pool.site.kill()
    pool.site.start()
    eventually(lambda: pool.job(job)["tasks"]["running"] == 1, about="the return of its task")
    (tmp_path / "go").touch()
    assert pool.ended(job)["state"] == "succeeded" and starts(tmp_path) == 1
    eventually(lambda: not list(jobs.iterdir()), 30, "the end of the job's folder")


def test_what_attempts_print_is_not_mixed(pool, lode, tmp_path):
    """Each attempt prints something else: the follower's output has what each printed from its beginning, never a part of one behind another's."""
    pool.start("first")
    # Each attempt ends when it is told, once what it printed has come to the follower.
    script = f"cat /proc/sys/kernel/random/uuid; until rm {tmp_path}/go 2>/dev/null; do sleep 0.05; done; exit 3"
    printed = tmp_path / "printed"
    with open(printed, "wb") as out:
        running = lode.start("run", "--cache", "off", "--retries", "1", "--", "sh", "-c", script, stdout=out)
    for attempt in (1, 2):
        eventually(lambda: printed.read_text().count("\n") == attempt, about=f"the output of attempt {attempt}")
        (tmp_path / "go").touch()
    _, said = running.communicate(timeout=60)
    assert running.returncode == 3, said
    lines = printed.read_text().split()
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", line) for line in lines), lines
    final = lode("logs", str(max(job["id"] for job in lode.json("jobs")["jobs"]))).stdout.split()
    assert lines[1:] == final and lines[0] != lines[1], (lines, final)
    assert "began again (attempt 2)" in said, said
