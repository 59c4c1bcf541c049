"""What breaks: sites, workers and runners killed in the middle, full disks, slow and idle clients. Nothing acknowledged is lost."""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import time

import pytest
from conftest import eventually, processes_of

TASKS = 5000
KILLS = 12


def wait_for(site, job, seconds=180):
    """The job once it has ended."""

    def ended():
        answer = site.api("GET", f"/v1/jobs/{job}?wait=10").json
        return answer if answer["state"] in ("succeeded", "failed", "cancelled") else None

    return eventually(ended, seconds, f"the end of job {job}")


def submit(site, **document):
    answer = site.api("POST", "/v1/jobs", document)
    assert answer.code == 201, answer
    return answer.json["id"]


def tasks_of(site, job):
    """All ended tasks of a job, page by page."""
    tasks, cursor = [], None
    while True:
        page = site.api("GET", f"/v1/jobs/{job}/tasks?limit=1000" + (f"&cursor={cursor}" if cursor else "")).json
        tasks += page["tasks"]
        cursor = page["next"]
        if not cursor:
            return tasks


def acknowledged(site, job):
    """How many tasks the site says have succeeded: those must never be fewer later."""
    return site.api("GET", f"/v1/jobs/{job}").json["tasks"]["succeeded"]


def runners(site):
    """The sandboxes with a task runner at work; what has no job yet goes by another name."""

    def is_at_work(pid):
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return any(pathlib.Path(f"/proc/{child}/comm").read_text() == "lode-runner\n" for child in children)
        except OSError:
            return False

    return [pid for pid in processes_of(site.user.folder) if is_at_work(pid)]


def test_a_site_killed_many_times_in_a_job_loses_nothing_and_commits_nothing_twice(site):
    seed = int(os.environ.get("LODE_SEED", random.randrange(1 << 30)))
    print("LODE_SEED =", seed)
    dice = random.Random(seed)
    job = submit(site, command=["sh", "-c", "echo $LODE_INDEX"], count=TASKS, cache="off")
    seen = 0
    for _ in range(KILLS):
        target = min(seen + dice.randrange(TASKS // KILLS), TASKS)
        eventually(lambda: acknowledged(site, job) >= target, 60, f"{target} tasks")
        time.sleep(dice.random() * 0.05)  # Any moment will do: this is the dice, not a wait.
        before = acknowledged(site, job)
        site.kill()
        site.start()
        after = acknowledged(site, job)
        assert after >= before >= seen
        seen = after
    done = wait_for(site, job)
    assert done["state"] == "succeeded"
    assert done["tasks"]["succeeded"] == TASKS
    tasks = tasks_of(site, job)
    assert sorted(task["index"] for task in tasks) == list(range(TASKS))
    for index in dice.sample(range(TASKS), 50):
        assert site.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body == b"%d\n" % index
    assert site.stop() == 0


@pytest.mark.parametrize("outlived", (False, True), ids=("of_this_life", "of_an_earlier_life"))
def test_a_worker_killed_in_the_middle_leaves_no_tasks_and_its_work_is_done_again(site, outlived):
    job = submit(site, command=["sh", "-c", "sleep 0.05; echo $LODE_INDEX"], count=60, cache="off")
    eventually(lambda: acknowledged(site, job) >= 5)
    if outlived:
        site.kill()
        site.start()
        before = acknowledged(site, job)
        eventually(lambda: acknowledged(site, job) > before, about="the return of the worker")
    killed = time.monotonic()
    for pid in eventually(site.workers):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not runners(site), 20, "the end of the killed worker's runners")
    done = wait_for(site, job)
    assert done["state"] == "succeeded" and done["tasks"]["succeeded"] == 60
    assert time.monotonic() - killed < 10, "the site was slow to notice"


def test_a_runner_killed_in_the_middle_is_replaced(site):
    job = submit(site, command=["sh", "-c", "sleep 0.05; echo $LODE_INDEX"], count=60, cache="off")
    eventually(lambda: acknowledged(site, job) >= 3)
    for pid in eventually(lambda: runners(site)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    done = wait_for(site, job)
    assert done["state"] == "succeeded" and done["tasks"]["succeeded"] == 60


def test_a_running_task_survives_the_restart_of_its_site(site):
    job = submit(site, command=["sh", "-c", "echo begun; sleep 3; echo ended"], cache="off")
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
    pids = eventually(lambda: runners(site))
    site.kill()
    site.start()
    done = wait_for(site, job)
    assert done["state"] == "succeeded"
    record = site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["attempts"] == 1, record
    assert site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"begun\nended\n"
    assert pids


def test_what_a_task_wrote_before_the_restart_of_its_site_is_followed_after_it(site, lode):
    """From its beginning by who comes after the restart, and once by who was there before."""
    job = submit(site, command=["sh", "-c", "echo early; sleep 600"], cache="off")
    path = f"/v1/jobs/{job}/tasks/0/stdout"
    before = lode.start("logs", "-f", str(job))
    assert before.stdout.readline() == "early\n"
    site.kill()
    site.start()
    eventually(lambda: site.api("GET", path).body == b"early\n", 20, "what the task wrote before")
    after = lode.start("logs", "-f", str(job))
    assert after.stdout.readline() == "early\n"
    assert site.api("POST", f"/v1/jobs/{job}/cancel").code == 200
    assert before.communicate(timeout=30)[0] == after.communicate(timeout=30)[0] == ""


def test_a_task_that_ran_before_the_restart_of_its_site_can_be_cancelled(site):
    job = submit(site, command=["sleep", "600"], cache="off")
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
    before = eventually(lambda: runners(site))
    site.kill()
    site.start()
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1, about="the return of its worker")
    assert runners(site) == before
    assert site.api("POST", f"/v1/jobs/{job}/cancel").code == 200
    eventually(lambda: not runners(site), 20, "the end of the cancelled task")


def test_lode_run_goes_on_over_a_restart_of_the_site(site, lode):
    running = lode.start("run", "--cache", "off", "--", "sh", "-c", "echo one; sleep 2; echo two; exit 3")
    eventually(lambda: any(j["tasks"]["running"] for j in site.api("GET", "/v1/jobs").json["jobs"]))
    site.kill()
    site.start()
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 3, stderr
    assert stdout == "one\ntwo\n"


def test_a_task_that_takes_its_worker_down_is_not_retried_for_ever(site):
    # The first process of the sandbox is the runner; a task cannot kill it, so the test does it for the task.
    job = submit(site, command=["sleep", "600"], cache="off")

    def has_failed():
        return site.api("GET", f"/v1/jobs/{job}").json["state"] == "failed"

    for _ in range(4):
        eventually(lambda: runners(site) or has_failed())
        killed = runners(site)
        for pid in killed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        eventually(lambda: not set(killed) & set(runners(site)), 20)  # The next attempt may have begun already.
    done = wait_for(site, job, 60)
    assert done["state"] == "failed"
    record = site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["message"], record


@contextlib.contextmanager
def mounted(place, size):
    """The folder as a file system of that size; where none can be mounted, the test is skipped with the reason."""
    place.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("cannot mount a file system here: " + done.stderr.decode())
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 12 MiB."""
    with mounted(tmp_path / "small", "12m") as place:
        yield place


def test_a_machine_with_little_disk_runs_a_job_that_asks_for_nothing(make_site, tmp_path):
    """As many tasks side by side as it has cores."""
    with mounted(tmp_path / "little", "3g") as place:
        site = make_site(directory=place / "site", options=["--workers", "2"])
        job = submit(site, command=["sh", "-c", "sleep 60"], count=2)
        eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 2, 30)
        site.api("POST", f"/v1/jobs/{job}/cancel")


def test_a_full_disk_is_said_and_what_was_acknowledged_stays(make_site, small_disk):
    site = make_site(directory=small_disk / "site", options=["--workers", "0"])
    first = submit(site, command=["true"], name="before")
    fill = small_disk / "fill"
    with open(fill, "wb") as out:
        try:
            while True:
                out.write(bytes(65536))
                out.flush()
        except OSError:
            pass
    refusal = None
    for i in range(2000):
        answer = site.api("POST", "/v1/jobs", {"command": ["true", "x" * 20000], "name": f"full-{i}"})
        if answer.code != 201:
            refusal = answer
            break
    assert refusal is not None and refusal.code == 507, refusal
    assert "disk" in refusal.json["detail"] or "space" in refusal.json["detail"], refusal.json
    assert refusal.json["fix"]
    assert site.api("PUT", "/v1/blobs/sha256:" + "0" * 64, b"x" * 200000).code in (422, 507)
    assert site.api("GET", f"/v1/jobs/{first}").json["name"] == "before"
    fill.unlink()
    later = submit(site, command=["true"], name="after")
    site.kill()
    site.start()
    assert site.api("GET", f"/v1/jobs/{first}").json["name"] == "before"
    assert site.api("GET", f"/v1/jobs/{later}").json["name"] == "after"


def open_tls(site):
    """A TLS connection on which nothing has been said."""
    host, port = site.address.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=60))


def test_a_slow_client_is_cut_off_and_disturbs_nobody(make_site):
    site = make_site(options=["--workers", "0"])
    with open_tls(site) as slow:
        slow.sendall(b"GET /v1/site HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        began = time.monotonic()
        assert site.api("GET", "/v1/site").code == 200
        received = slow.recv(65536)  # Ends with an answer (408) or the close, by the site's own deadline.
        assert received == b"" or b" 408 " in received.split(b"\r\n")[0]
        assert time.monotonic() - began < 40


def test_a_thousand_idle_connections_leave_room_for_work(make_site):
    site = make_site(options=["--workers", "1"])
    connections = [open_tls(site) for _ in range(1000)]
    try:
        job = submit(site, command=["echo", "through"], cache="off")
        assert wait_for(site, job, 60)["state"] == "succeeded"
        status = pathlib.Path(f"/proc/{site.pid}/status").read_text()
        resident_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert resident_kib < 160 * 1024, resident_kib
    finally:
        for connection in connections:
            connection.close()


def test_a_client_that_leaves_while_it_waits_costs_nothing(make_site):
    site = make_site(options=["--workers", "0"])
    job = submit(site, command=["true"])
    for _ in range(20):
        with open_tls(site) as leaving:
            leaving.sendall(f"GET /v1/jobs/{job}?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token}\r\n\r\n".encode())
    assert site.api("POST", f"/v1/jobs/{job}/cancel").code == 200
    assert site.api("GET", f"/v1/jobs/{job}").json["state"] == "cancelled"
    assert json.loads(site.api("GET", "/v1/status").body)


def test_two_sites_cannot_share_a_directory(make_site, lode):
    site = make_site(options=["--workers", "0"])
    second = lode("site", "--directory", site.directory, "--address", "127.0.0.1:0", status=None, seconds=20)
    assert second.returncode != 0
    assert "in use" in second.stderr, second.stderr
    assert site.api("GET", "/v1/site").code == 200


def test_a_port_in_use_is_said_with_the_way_out(make_site, lode, tmp_path):
    site = make_site(options=["--workers", "0"])
    second = lode("site", "--directory", tmp_path / "second", "--address", site.address, status=None, seconds=20)
    assert second.returncode != 0
    assert "in use" in second.stderr and "--address" in second.stderr, second.stderr
