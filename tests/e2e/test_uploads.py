"""How much may come into a site's store of blobs: from workers, for what they run; from guests and users, a day."""

import contextlib
import hashlib
import http.client
import os
import ssl
import time
import urllib.parse

import pytest
from conftest import eventually

HELLO = {"name": "rogue", "cpus": 1, "memory_bytes": 1 << 40, "disk_bytes": 1 << 40}
SWEEP = ("--sweep-after", "10s")
DISK = 1 << 20
LEAST = 4096  # As what a file counts.
MAY_SEND = 3 << 20  # For a task that may have so much on disk: what it prints, what it leaves, and 1 MiB.


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def blobs_of(site):
    return {f"sha256:{path.parent.name}{path.name}" for path in (site.directory / "blobs").glob("??/*")}


def incoming(site):
    return list((site.directory / "blobs" / "incoming").iterdir())


@pytest.fixture
def own_site(make_site):
    """A site without workers of its own."""
    return make_site(options=("--workers", "0", *SWEEP))


class Rogue:
    """A worker that does what it likes."""

    def __init__(self, site, said):
        self.site = site
        self.token = site.api("POST", "/v1/tokens", said).json["token"]
        self.worker = self.ask("POST", "/v1/workers", HELLO).json["worker"]

    def ask(self, method, path, body=None):
        return self.site.api(method, path, body, token=self.token)

    def poll(self, **said):
        answer = self.ask("POST", f"/v1/workers/{self.worker}/poll", said)
        assert answer.code == 200, answer
        return answer.json

    def lease(self, **said):
        return self.poll(**said)["leases"][0]

    def send(self, content):
        return self.ask("PUT", f"/v1/blobs/{digest_of(content)}", content)


def submit(site, **said):
    return site.api("POST", "/v1/jobs", {"command": ["true"], "cache": "off", "disk_bytes": DISK, **said}).json["id"]


@pytest.mark.parametrize("said", [{"principal": "rack", "role": "worker"}, {"class": "spare"}, {"class": "user", "user": "ada"}])
def test_a_worker_sends_what_its_leases_may_leave_and_nothing_without_one(own_site, said):
    owner = own_site.api("POST", "/v1/tokens", {"principal": "ada", "role": "user"}).json["token"]
    rogue = Rogue(own_site, said)
    before = blobs_of(own_site)
    refused = rogue.send(b"nothing to send for")
    assert refused.code == 409 and "holds none" in refused.json["detail"] and refused.json["fix"], refused
    job = own_site.api("POST", "/v1/jobs", {"command": ["true"], "cache": "off", "disk_bytes": DISK, "spare": True}, token=owner).json["id"]
    lease = rogue.lease()
    assert lease[1] == job
    sent = bytes(MAY_SEND - LEAST)
    assert rogue.send(sent).code == 201
    refused = rogue.send(b"r" * (LEAST + 1))
    assert refused.code == 413, refused
    assert f"send {MAY_SEND} bytes" in refused.json["detail"] and f"has sent {MAY_SEND - LEAST} bytes" in refused.json["detail"], refused
    assert "--disk" in refused.json["fix"]
    # The same file once more, as its answer was lost, does not count; a small one does, as what it takes on the disk.
    assert rogue.send(sent).code == (201 if "class" in said else 200)
    assert rogue.send(b"r").code == 201
    assert rogue.send(b"s").code == 413
    assert blobs_of(own_site) - before == {digest_of(sent), digest_of(b"r")} and incoming(own_site) == []
    # What was given back is good for nothing. (What was sent for it has strayed, of which there is a limit: tests/unit/policy/test_uploads.c.)
    again = rogue.poll(returned=[lease[:1] + lease[2:4]], leases=[])["leases"][0]
    assert again[1] == job
    rogue.poll(results=[{"lease": again[0], "job": job, "tasks": [[0, 0, 0, 1, 1, 1, 1]]}])
    assert own_site.api("GET", f"/v1/jobs/{job}").json["state"] == "succeeded"
    assert rogue.send(b"after the end").code == 409


def test_a_body_of_unknown_length_is_counted_as_it_comes(own_site):
    rogue = Rogue(own_site, {"principal": "rack", "role": "worker"})
    submit(own_site)
    rogue.lease()
    at = urllib.parse.urlsplit(own_site.url)
    connection = http.client.HTTPSConnection(at.hostname, at.port, context=ssl._create_unverified_context(), timeout=60)
    with contextlib.closing(connection):
        pieces = (b"x" * (1 << 18) for _ in range(64))
        with contextlib.suppress(OSError):  # The site may close before all has come.
            connection.request("PUT", f"/v1/blobs/{digest_of(b'x')}", body=pieces, encode_chunked=True,
                headers={"Authorization": f"Bearer {rogue.token}", "Transfer-Encoding": "chunked"})
        assert connection.getresponse().status == 413
    eventually(lambda: incoming(own_site) == [])
    # What came to nothing does not count.
    assert rogue.send(bytes(MAY_SEND)).code == 201


def test_a_broken_connection_is_not_counted(own_site):
    rogue = Rogue(own_site, {"principal": "rack", "role": "worker"})
    submit(own_site)
    rogue.lease()
    content = bytes(2 << 20)
    at = urllib.parse.urlsplit(own_site.url)
    for _ in range(5):
        connection = http.client.HTTPSConnection(at.hostname, at.port, context=ssl._create_unverified_context(), timeout=60)
        with contextlib.closing(connection):
            connection.putrequest("PUT", f"/v1/blobs/{digest_of(content)}")
            for name, value in (("Authorization", f"Bearer {rogue.token}"), ("Content-Length", str(len(content)))):
                connection.putheader(name, value)
            connection.endheaders(content[: 1 << 20])
            eventually(lambda: len(incoming(own_site)) == 1)
        eventually(lambda: incoming(own_site) == [])
    assert rogue.send(content).code == 201


def test_a_task_that_leaves_more_than_it_may_says_so_in_why(make_site):
    site = make_site(options=("--workers", "1", "--sandbox", "none"))
    script = "for i in 1 2 3 4 5 6 7 8; do echo $i > f$i; truncate -s 900K f$i; done"
    job = site.api("POST", "/v1/jobs?wait=60", {
        "command": ["sh", "-c", script], "outputs": ["f*"], "disk_bytes": DISK, "cache": "off", "retries": {"worker": 0}}).json
    assert job["state"] == "failed", job
    said = site.api("GET", f"/v1/jobs/{job['id']}/tasks/0/why").json
    assert f"send {MAY_SEND} bytes" in said["why"] and "has sent" in said["why"], said
    # With more disk it leaves them.
    wide = site.api("POST", "/v1/jobs?wait=60", {"command": ["sh", "-c", script], "outputs": ["f*"], "disk_bytes": 8 << 20}).json
    assert wide["state"] == "succeeded", wide


def test_uploads_wait_for_a_site_that_was_started_again(own_site, lode, tmp_path):
    token = own_site.api("POST", "/v1/tokens", {"class": "user", "user": own_site.api("GET", "/v1/whoami").json["principal"]}).json["token"]
    (tmp_path / "token").write_text(token)
    with open(tmp_path / "log", "wb") as log:
        lode.start("worker", "--site", own_site.url, "--pin", own_site.fingerprint, "--token-file", tmp_path / "token", "--name", "laptop",
            "--sandbox", "none", "--directory", tmp_path / "laptop", stdout=log, stderr=log)
    go = tmp_path / "go"
    job = submit(own_site, command=["sh", "-c", f"until [ -e {go} ]; do sleep 0.1; done; head -c 300000 /dev/urandom > big; head -c 50000 /dev/urandom"],
        outputs=["big"], count=2, retries=0)
    eventually(lambda: own_site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] >= 1)
    own_site.stop()
    go.touch()
    own_site.start()
    ended = own_site.api("GET", f"/v1/jobs/{job}?wait=60").json
    assert ended["state"] == "succeeded", ended
    assert sum(ended["failures"].values()) == 0, ended


def test_guests_and_users_send_so_much_a_day(make_site, make_lode):
    ocean = make_site(user=make_lode("ocean"), options=("--workers", "0", "--name", "ocean"))
    ocean.stop()
    host = make_site(options=("--workers", "0", "--peer", f"ocean={ocean.fingerprint}@{ocean.url}", "--guest-upload-max", "10K", "--user-upload-max", "20K"))

    def as_guest(user, content):
        ask = lambda: host.api("PUT", f"/v1/blobs/{digest_of(content)}", content, headers={"Lode-User": user}, as_site=ocean.directory)
        return eventually(lambda: (answer := ask()).code != 503 and answer)

    assert as_guest("alice", b"a" * 6000).code == 201
    assert as_guest("alice", b"a" * 6000).code == 200  # It is there.
    refused = as_guest("alice", b"b" * 6000)
    assert refused.code == 413 and "may send 10240 bytes a day and has sent 6000" in refused.json["detail"], refused
    assert "--guest-upload-max" in refused.json["fix"]
    assert host.api("GET", f"/v1/blobs/{digest_of(b'b' * 6000)}").code == 404
    # A file of no size takes room on the disk; and names of users are cheap, so a site as a whole has a limit.
    assert as_guest("alice", b"").code == 201
    assert as_guest("alice", b"1").code == 413
    for number in range(9):
        assert as_guest(f"user{number}", b"%d" % number * 10000).code == 201
    refused = as_guest("user10", b"n" * 10000)
    assert refused.code == 413 and "all users of the site" in refused.json["detail"], refused

    user = host.api("POST", "/v1/tokens", {"principal": "ada", "role": "user"}).json["token"]
    send = lambda content, token: host.api("PUT", f"/v1/blobs/{digest_of(content)}", content, token=token)
    assert send(b"u" * 15000, user).code == 201
    refused = send(b"v" * 15000, user)
    assert refused.code == 413 and "ada may send 20480 bytes a day" in refused.json["detail"] and "--user-upload-max" in refused.json["fix"], refused
    assert send(b"w" * 50000, True).code == 201  # The operator.


def test_users_have_no_limit_unless_the_operator_sets_one(own_site):
    user = own_site.api("POST", "/v1/tokens", {"principal": "ada", "role": "user"}).json["token"]
    content = bytes(32 << 20)
    assert own_site.api("PUT", f"/v1/blobs/{digest_of(content)}", content, token=user).code == 201


# --- what nobody named goes

DAY = 24 * 3600


def path_of(site, digest):
    return site.directory / "blobs" / digest[7:9] / digest[9:]


def make_old(site, digests):
    """As if nobody had asked for them for two days. They must not have been found named yet."""
    long_ago = time.time() - 2 * DAY
    for digest in digests:
        os.utime(path_of(site, digest), (long_ago, long_ago))


def put(site, content):
    assert site.api("PUT", f"/v1/blobs/{digest_of(content)}", content).code in (200, 201)
    return digest_of(content)


def test_uploads_that_nobody_named_go_after_a_day(make_site):
    site = make_site(options=("--workers", "1", "--sandbox", "none", *SWEEP))
    script = b"#!/bin/sh\nprintf 'left\\n' > out; head -c 20000 /dev/zero\n"
    job = site.api("POST", "/v1/jobs?wait=60", {
        "command": ["./x"], "files": [{"name": "x", "blob": put(site, script), "executable": True}], "outputs": ["out"]}).json
    assert job["state"] == "succeeded", job
    named = blobs_of(site)
    assert {digest_of(script), digest_of(b"left\n"), digest_of(bytes(20000))} == named
    orphans = {put(site, b"orphan %d" % number) for number in range(20)}
    young = put(site, b"young")
    site.stop()
    make_old(site, named | orphans)
    site.start()
    eventually(lambda: blobs_of(site) == named | {young})
    eventually(lambda: "event=blobs_removed count=20 " in site.log)
    # What is there still serves: the record, and the same job from the cache.
    assert site.api("GET", f"/v1/blobs/{digest_of(b'left' + bytes([10]))}").body == b"left\n"
    again = site.api("POST", "/v1/jobs?wait=60", {
        "command": ["./x"], "files": [{"name": "x", "blob": put(site, script), "executable": True}], "outputs": ["out"]}).json
    assert again["tasks"]["cached"] == 1, again


def test_a_blob_that_was_said_to_be_here_is_here_for_the_job_that_names_it(make_site):
    """Clients find old blobs here, and submit jobs with them, while the site removes what nobody asks for."""
    site = make_site(options=("--workers", "0", *SWEEP))
    contents = [b"content %d" % number for number in range(300)]
    digests = [put(site, content) for content in contents]
    site.stop()
    make_old(site, digests)
    site.start()
    submitted = set()
    deadline = time.monotonic() + 60
    number = 0
    # Some are asked for before the sweep comes, some while it does, the others never.
    while time.monotonic() < deadline and len(blobs_of(site) & set(digests[200:])) > 0:
        digest, content = digests[number % 200], contents[number % 200]
        number += 1
        if site.api("HEAD", f"/v1/blobs/{digest}").code == 404:
            put(site, content)
        taken = site.api("POST", "/v1/jobs", {"command": ["true"], "cache": "off", "files": [{"name": "x", "blob": digest}]})
        assert taken.code == 201, taken
        submitted.add(digest)
    here = blobs_of(site)
    assert here & set(digests[200:]) == set()
    assert submitted and submitted <= here


def test_checkpoints_go_with_their_tasks(own_site):
    rogue = Rogue(own_site, {"principal": "rack", "role": "worker"})
    job = submit(own_site, checkpoint={"files": ["state"], "interval_seconds": 1})
    lease = rogue.lease()
    state, orphan = b"state", put(own_site, b"orphan")
    assert rogue.send(state).code == 201
    rogue.poll(leases=[lease[:4]], checkpoints=[{"job": job, "index": 0, "attempt": 1, "files": [["state", digest_of(state), 5, 420]]}])

    def sweep(digests):
        own_site.stop()
        make_old(own_site, digests)
        own_site.start()

    sweep([digest_of(state), orphan])
    eventually(lambda: orphan not in blobs_of(own_site))
    assert digest_of(state) in blobs_of(own_site)
    rogue.worker = rogue.ask("POST", "/v1/workers", HELLO).json["worker"]
    rogue.poll(leases=[lease[:4]])
    assert rogue.ask("GET", f"/v1/blobs/{digest_of(state)}").body == state
    rogue.poll(results=[{"lease": lease[0], "job": job, "tasks": [[0, 0, 0, 1, 1, 1, 1]]}])
    assert own_site.api("GET", f"/v1/jobs/{job}").json["state"] == "succeeded"
    sweep([digest_of(state)])
    eventually(lambda: digest_of(state) not in blobs_of(own_site))


def test_what_a_task_sent_with_its_token_stays(make_site):
    site = make_site(options=("--workers", "1", "--sandbox", "none", *SWEEP))
    job = site.api("POST", "/v1/jobs", {"command": ["sh", "-c", 'echo "$LODE_TOKEN"; exec sleep 1000'], "network": True, "api": True}).json["id"]
    token = eventually(lambda: site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body.decode().strip())
    content = b"named by what the task prints"
    assert site.api("PUT", f"/v1/blobs/{digest_of(content)}", content, token=token).code == 201
    orphan = put(site, b"orphan")
    site.api("POST", f"/v1/jobs/{job}/cancel")
    site.stop()
    make_old(site, [digest_of(content), orphan])
    site.start()
    eventually(lambda: orphan not in blobs_of(site))
    assert site.api("GET", f"/v1/blobs/{digest_of(content)}").body == content
