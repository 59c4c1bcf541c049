"""What one machine with nothing configured gives: the defaults of `lode site`, every option of a job, JSON from every command, and clients without manners."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess

import pytest
from conftest import PROGRAMS, eventually

DEFAULT_PORT = 7733


@pytest.fixture
def own_network(lode):
    """`lode site` with no arguments, in a network of its own, where the usual port is free; `lode` speaks from there."""
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", PROGRAMS / "lode", "site"]
    probe = subprocess.run([*command[:4], "ip link set lo up"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("cannot make a network namespace here: " + probe.stderr.decode())
    with open(lode.folder / "site.log", "wb") as log:
        process = subprocess.Popen(command, env=lode.environment, cwd=lode.home, stdout=log, stderr=log)
    lode.prefix = ["nsenter", f"--target={process.pid}", "--net"]
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_a_site_without_arguments_serves_this_machine_and_ends_with_a_signal(own_network, lode):
    said = eventually(lambda: json.loads((lode.data / "site.json").read_text()) if (lode.data / "site.json").exists() else None)
    assert said["url"] == f"https://127.0.0.1:{DEFAULT_PORT}", said
    assert lode.data == lode.home / ".local" / "share" / "lode"
    workers = eventually(lambda: lode.json("workers")["workers"])
    assert sum(worker["cpus"] for worker in workers) == len(os.sched_getaffinity(0)), workers
    lode("login", f"https://127.0.0.1:{DEFAULT_PORT}")
    assert lode("run", "--", "echo", "hello").stdout == "hello\n"
    assert workers[0]["name"] in lode("workers").stdout
    own_network.send_signal(signal.SIGTERM)
    assert own_network.wait(60) == 0


def test_every_option_of_a_job_is_in_its_document(make_site, lode, tmp_path):
    make_site(options=["--workers", "0"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("a")
    (tmp_path / "script.sh").write_text("true\n")
    lode("data", "add", "t:options", tmp_path / "data")
    first = lode.json("submit", "--", "true")["id"]
    words = ["--data", "t:options=in", "--count", "3", "--file", f"{tmp_path}/script.sh=run.sh", "--output", "*.nc", "--env", "A=b=c"]
    words += ["--cpus", "0.5", "--memory", "2G", "--disk", "3G", "--walltime", "1h30m", "--retries", "2", "--network"]
    words += ["--after", str(first), "--cache", "refresh", "--name", "all of it"]
    job = lode.json("submit", *words, "--", "sh", "run.sh", "{index}")["id"]
    spec = lode.json("job", "show", str(job))["spec"]
    wanted = {"command": ["sh", "run.sh", "{index}"], "count": 3, "name": "all of it", "environment": {"A": "b=c"}, "outputs": ["*.nc"],
              "cpus": 0.5, "memory_bytes": 2 << 30, "disk_bytes": 3 << 30, "walltime_seconds": 5400, "retries": 2, "network": True,
              "after": [first], "cache": "refresh"}
    assert {name: spec.get(name) for name in wanted} == wanted, spec
    assert [(each["id"], each["name"]) for each in spec["data"]] == [("t:options", "in")]
    assert [each["name"] for each in spec["files"]] == ["run.sh"]
    over = lode.json("job", "show", str(lode.json("submit", "--over", "t:options", "--", "cat", "{file}")["id"]))
    assert over["spec"]["over"] == "t:options" and over["tasks"]["total"] == 1, over


def test_every_command_answers_in_json(site, lode, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("a")
    job = lode.json("submit", "--output", "*.txt", "--", "sh", "-c", "echo out; echo a > a.txt")["id"]
    endless = lode.json("submit", "--cache", "off", "--", "sleep", "600")["id"]
    failing = lode.json("submit", "--cache", "off", "--", "false")["id"]
    token = lode.json("token", "create", "alice")["token_id"]
    stranger = "sha256:" + "5" * 64
    asked = [
        ["run", "--", "true"], ["plan", "--", "true"],
        ["wait", str(job)], ["wait", str(failing)], ["jobs"], ["job", "show", str(job)], ["job", "show", f"{job}/0"], ["logs", str(job)],
        ["outputs", str(job)], ["outputs", str(job), str(tmp_path / "out")], ["why", str(failing)], ["retry", str(failing)], ["cancel", str(endless)],
        ["data", "add", "t:json", str(folder)], ["data", "list"], ["data", "show", "t:json"], ["data", "show", "--files", "t:json"],
        ["data", "verify", "t:json"], ["resolve", "t:json"], ["data", "remove", "t:json"], ["transfers"],
        ["login", site.url], ["status"], ["workers"], ["token", "list"], ["token", "revoke", str(token)],
        ["hub", "list"], ["sites"], ["sites", "accept", stranger], ["sites", "deny", stranger],
        ["help"], ["help", "run"], ["completion", "bash"],
    ]
    for words in asked:
        said = lode.json(*words, status=1 if words[:2] == ["wait", str(failing)] else 0)
        assert isinstance(said, dict) or said, words


def tls(site):
    """A TLS connection on which nothing has been said."""
    host, port = site.address.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=120))


HEADS = {
    "two hosts": b"GET /v1/site HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET /v1/site HTTP/1.1\r\n\r\n",
    "a length and chunks": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "lines without CR": b"GET /v1/site HTTP/1.1\nHost: a\n\n",
    "empty lines first": b"\r\n\r\n\r\nGET /v1/site HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL": b"GET /v1/site HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "a field over two lines": b"GET /v1/site HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "no method": b"BREW /v1/site HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a large head": b"GET /v1/site HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100000 + b"\r\n\r\n",
    "a long address": b"GET /v1/" + b"x" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a broken escape": b"GET /v1/jobs/%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "nowhere": b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "another method": b"DELETE /v1/site HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
}


def test_a_request_that_is_none_is_refused_with_what_to_do(make_site):
    site = make_site(options=["--workers", "0"])
    for what, head in HEADS.items():
        with contextlib.closing(tls(site)) as connection:
            connection.sendall(head)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        top, _, body = received.partition(b"\r\n\r\n")
        assert 400 <= int(top.split()[1]) < 600 and b"application/problem+json" in top, (what, received)
        problem = json.loads(body)
        assert problem["detail"] and problem["fix"] and problem["status"] == int(top.split()[1]), (what, problem)
    assert site.api("GET", "/v1/site").code == 200


def test_a_reader_that_stops_half_way_holds_nobody_up_and_costs_no_memory(make_site, lode, tmp_path):
    site = make_site(options=["--workers", "0"])
    folder = tmp_path / "large"
    folder.mkdir()
    with open(folder / "zeros", "wb") as out:
        out.truncate(64 << 20)
    lode("data", "add", "t:large", folder)

    def resident_mib():
        with open(f"/proc/{site.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) >> 10

    readers = []
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            reader = stack.enter_context(contextlib.closing(tls(site)))
            reader.sendall(f"GET /v1/datasets/t%3Alarge/content/zeros HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token}\r\n\r\n".encode())
            assert reader.recv(100).startswith(b"HTTP/1.1 200 ")
            readers.append(reader)
        for i in range(50):
            assert site.api("GET", f"/v1/jobs?limit={i + 1}").code == 200
        # All are served from where they lie: what is sent ahead of a reader is bounded for each.
        assert resident_mib() < 60, "what nobody reads is held in memory"


POOL_THREADS = 8
BACKGROUND_THREADS_MAX = 8
READ_LOCKS = (123, 5)  # Of a database in WAL mode: https://sqlite.org/walformat.html, "WAL Locks".


def test_who_may_block_for_the_database_never_waits_for_somebody_else_s_connection(make_site):
    site = make_site(options=["--workers", "0"])
    database = site.directory / "lode.db"
    background = min(BACKGROUND_THREADS_MAX, os.cpu_count())
    asked = ["/v1/datasets"] * POOL_THREADS + [f"/v1/federation/logs/{site.fingerprint}?epoch=1&after=0"] * background

    def connections():
        return sum(os.path.realpath(link) == str(database) for link in pathlib.Path(f"/proc/{site.pid}/fd").iterdir())

    def is_held():
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(shared, fcntl.LOCK_EX | fcntl.LOCK_NB, READ_LOCKS[1], READ_LOCKS[0])
            return True

    with open(f"{database}-shm", "r+b") as shared, concurrent.futures.ThreadPoolExecutor(len(asked)) as askers:
        eventually(is_held, about="a moment without readers")
        try:
            answers = [askers.submit(site.api, "GET", path) for path in asked]
            # One of them is the writer's.
            eventually(lambda: connections() >= 1 + len(asked), 5, "a connection for each")
        finally:
            fcntl.lockf(shared, fcntl.LOCK_UN, READ_LOCKS[1], READ_LOCKS[0])
        assert {answer.result().code for answer in answers} == {200}
