"""A site as a service manager runs it: handed sockets, readiness, graceful ends; and who may talk to whom."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest
from conftest import PROGRAMS, eventually


def test_a_site_takes_its_socket_from_the_service_manager(lode, tmp_path):
    directory = tmp_path / "site"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port = listening.getsockname()[1]

        def hand_over():
            os.dup2(listening.fileno(), 3)

        # LISTEN_PID must be the process that becomes the site, so a shell says its own number and then becomes it.
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{PROGRAMS}/lode" site --directory "{directory}" --workers 0'],
            env=lode.environment, preexec_fn=hand_over, pass_fds=[3], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        said = eventually(lambda: json.loads((directory / "site.json").read_text()) if (directory / "site.json").exists() else None)
        assert said["url"].endswith(f":{port}"), said
        done = subprocess.run(["curl", "-sk", f"https://127.0.0.1:{port}/v1/site"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["fingerprint"] == said["fingerprint"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_readiness_and_stopping_are_told(make_site, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        site = make_site(options=["--workers", "0"], environment={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"READY=1"
        assert site.stop() == 0
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_site_and_its_workers(site, how):
    workers = eventually(site.workers)
    site.api("POST", "/v1/jobs", {"command": ["sleep", "500"], "cache": "off"})
    eventually(lambda: site.api("GET", "/v1/status").json["tasks"]["running"] == 1)
    site.process.send_signal(how)
    assert site.process.wait(60) == 0
    assert workers and not site.workers()


def test_what_ran_when_a_site_was_stopped_runs_again_unblamed(site):
    job = site.api("POST", "/v1/jobs", {"command": ["sh", "-c", "sleep 2; echo done"], "cache": "off"}).json["id"]
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
    assert site.stop() == 0
    site.start()
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}?wait=10").json["state"] == "succeeded", 60)
    record = site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    assert record["failed_attempts"] == [], record


def test_the_leap_of_faith_is_made_once_and_a_changed_key_is_refused(make_site, make_lode, lode, tmp_path):
    site = make_site(options=["--workers", "0"])
    stranger = make_lode("stranger")
    refused = stranger("login", site.url, status=None)
    assert refused.returncode != 0 and site.fingerprint in refused.stderr + refused.stdout, refused
    token = lode.json("token", "create", "alice", "--role", "user")["token"]
    stranger("login", site.url, "--pin", site.fingerprint, "--token", "-", input=token + "\n")
    assert stranger.json("status")["fingerprint"] == site.fingerprint
    assert stranger("data", "add", "a:b", tmp_path, status=None).returncode != 0

    site.stop()
    other = make_site(directory=tmp_path / "other", options=["--workers", "0", "--address", site.address])
    assert other.url == site.url
    changed = stranger("status", status=None)
    assert changed.returncode != 0 and "known_sites" in changed.stderr and "--forget" in changed.stderr, changed.stderr


def test_on_the_same_machine_a_login_needs_no_question(site, lode):
    lode("login", site.url)
    assert lode("run", "--", "echo", "hello").stdout == "hello\n"


def test_an_idle_site_and_worker_are_small(site):
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"])
    site.api("POST", "/v1/jobs?wait=60", {"command": ["true"]})

    def resident_mib(pid):
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    eventually(lambda: resident_mib(site.pid) < 20, about="a small site")
    for pid in site.workers():  # It gives memory back a moment after its last work.
        eventually(lambda: resident_mib(pid) < 10, about="a small worker")


def test_submitting_a_million_tasks_is_one_row(make_site):
    site = make_site(options=["--workers", "0"])
    site.api("POST", "/v1/jobs", {"command": ["true"], "count": 1})

    def resident_kib():
        with open(f"/proc/{site.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    before = resident_kib()
    began = time.monotonic()
    job = site.api("POST", "/v1/jobs", {"command": ["true"], "count": 1000000}).json
    assert time.monotonic() - began < 5  # A measure of shape, not of speed: see bench/.
    assert job["tasks"]["total"] == 1000000
    assert resident_kib() - before < 1024
    site.api("POST", f"/v1/jobs/{job['id']}/cancel")


def test_a_worker_that_outlived_its_site_ends_with_the_next_one(site):
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"])
    # For a moment a child that is to become a sandbox looks like the worker that it was forked from.
    before = eventually(lambda: len(site.workers()) == 1 and site.workers())
    site.kill()
    site.start()
    answer = site.api("POST", "/v1/jobs?wait=60", {"command": ["true"], "cache": "off"})
    assert answer.json["state"] == "succeeded", answer
    eventually(lambda: site.workers() == before, about="the worker of before alone")
    assert site.stop() == 0
    assert not site.workers()
