"""How much may come into a site's store of blobs: from workers, for what they run; from guests and users, a day."""

import contextlib
import hashlib
import http.client
import ssl
import urllib.parse

import pytest
from conftest import eventually

HELLO = {"name": "rogue", "cpus": 1, "memory_bytes": 1 << 40, "disk_bytes": 1 << 40}
DISK = 1 << 20
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
    return make_site(options=("--workers", "0"))


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
    sent = bytes(MAY_SEND - 1000)
    assert rogue.send(sent).code == 201
    refused = rogue.send(b"r" * 1001)
    assert refused.code == 413, refused
    assert f"send {MAY_SEND} bytes" in refused.json["detail"] and f"has sent {MAY_SEND - 1000} bytes" in refused.json["detail"], refused
    assert "--disk" in refused.json["fix"]
    # The same file once more, as its answer was lost, does not count; nor is a small one too much.
    assert rogue.send(sent).code == (201 if "class" in said else 200)
    assert rogue.send(b"r" * 1000).code == 201
    assert rogue.send(b"s").code == 413
    assert blobs_of(own_site) - before == {digest_of(sent), digest_of(b"r" * 1000)} and incoming(own_site) == []
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
