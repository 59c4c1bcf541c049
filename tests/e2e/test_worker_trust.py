"""How a site and its workers come to trust each other: leap of faith, keys exchanged before, authorities, open sites."""

import contextlib
import datetime
import http.client
import json
import os
import pathlib
import pty
import signal
import sqlite3
import ssl
import threading

import pytest
from conftest import PROGRAMS, Answer, eventually
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HELLO = {"cpus": 1, "memory_bytes": 1 << 30, "disk_bytes": 1 << 30, "version": "0"}
PENDING_MAX = 256  # KNOWN_WORKERS_PENDING_MAX


class Worker:
    """A machine with `lode worker`: a home of its own, its log, and how it ends."""

    def __init__(self, lode, name):
        self.lode = lode
        self.name = name
        self.log_path = lode.folder / f"worker-{name}-{lode.home.name}.log"
        self.process = None

    def start(self, *options):
        with open(self.log_path, "ab") as log:
            words = ["worker", "--name", self.name, "--cpus", "1", *options]
            self.process = self.lode.start(*words, stdout=log, stderr=log, start_new_session=True)
        return self

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def folder(self):
        return self.lode.home / ".local" / "share" / "lode-worker"

    def says(self, words):
        eventually(lambda: words in self.log, about=f"{words!r} in the log of {self.name}: {self.log[-500:]}")

    def ends(self, status):
        assert self.process.wait(60) == status, self.log

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture
def make_worker(make_lode):
    """make_worker("desk-2", home="a"): a worker on a machine of its own."""
    workers = []

    def make(name, home=None):
        workers.append(Worker(make_lode(f"machine-{home or name}"), name))
        return workers[-1]

    yield make
    for worker in workers:
        worker.stop()


@pytest.fixture
def plain_site(make_site):
    """A site without workers of its own."""
    return make_site(options=("--workers", "0", "--name", "desk"))


def keys(site):
    return {key["name"]: key for key in site.api("GET", "/v1/worker-keys").json["worker_keys"]}


def is_listed(site, name, state="idle"):
    return any(each["name"] == name and each["state"] == state for each in site.api("GET", "/v1/workers").json["workers"])


def runs(lode, word):
    assert lode("run", "--", "echo", word).stdout == word + "\n"


def audit(site):
    """The audit log, one entry a line."""
    with contextlib.closing(sqlite3.connect(site.directory / "lode.db")) as database:
        return "\n".join("|".join(row) for row in database.execute("SELECT principal, action, object, reason FROM identity_audit"))


class Key:
    """A key and its certificate as a client of Python shows them."""

    def __init__(self, folder, name, by=None, expires=DAY, is_authority=False, stem=None):
        folder = pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        self.name = name
        self.private = ed25519.Ed25519PrivateKey.generate()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(by.subject if by else subject)
            .public_key(self.private.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY).not_valid_after(NOW + expires)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        self.subject = subject
        certificate = builder.sign(by.private if by else self.private, None)
        self.certificate = folder / f"{stem or name}.pem"
        self.key = folder / f"{stem or name}.key"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.fingerprint = "sha256:" + digest.finalize().hex()

    def ask(self, site, method, path, body=None):
        """A request of the program that has this key."""
        with self.connect(site) as ask:
            return ask(method, path, body)

    @contextlib.contextmanager
    def connect(self, site):
        """The same for several requests in one connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.certificate, self.key)
        host, port = site.address.split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)

        def ask(method, path, body=None):
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

        try:
            yield ask
        finally:
            connection.close()

    def hello(self, site, name=None):
        return self.ask(site, "POST", "/v1/workers", {"name": name or self.name, **HELLO})


def test_a_worker_waits_until_it_is_accepted_and_then_works_without_restart(plain_site, lode, make_worker):
    worker = make_worker("desk-2").start("--site", plain_site.url, "--trust")
    worker.says("event=pending")
    key = eventually(lambda: keys(plain_site).get("desk-2"))
    assert key["state"] == "pending" and key["trust"] == "none" and key["address"] == "127.0.0.1"
    assert key["fingerprint"] in worker.log and "lode worker accept desk-2" in worker.log
    assert plain_site.api("GET", "/v1/workers").json["workers"] == []
    assert "pending" in lode("workers").stdout and key["fingerprint"] in lode("workers").stdout
    assert "pending:    1" in lode("status").stdout
    first = keys(plain_site)["desk-2"]["last_seen_at"]
    eventually(lambda: keys(plain_site)["desk-2"]["last_seen_at"] > first, about="another question of the worker")
    assert worker.log.count("event=pending") == 1  # Said once, though it was asked again.
    assert "accepted" in lode("worker", "accept", "desk-2").stdout
    eventually(lambda: is_listed(plain_site, "desk-2"))
    runs(lode, "accepted")
    accepted = keys(plain_site)["desk-2"]
    assert (accepted["state"], accepted["trust"], accepted["decided_by"]) == ("accepted", "operator", plain_site.api("GET", "/v1/whoami").json["principal"])
    assert f"worker desk-2 {key['fingerprint']} accepted" in audit(plain_site)
    assert "worker:desk-2|worker.poll|register worker" in audit(plain_site)
    mode = (worker.folder / "worker.key").stat().st_mode
    assert mode & 0o777 == 0o600


def test_an_accepted_worker_stays_so_after_restarts_of_both(plain_site, lode, make_worker):
    worker = make_worker("desk-2").start("--site", plain_site.url, "--trust")
    eventually(lambda: "desk-2" in keys(plain_site))
    lode("worker", "accept", keys(plain_site)["desk-2"]["fingerprint"][:20])
    eventually(lambda: is_listed(plain_site, "desk-2"))
    plain_site.stop()
    plain_site.start()
    eventually(lambda: is_listed(plain_site, "desk-2"))
    runs(lode, "after the site")
    worker.stop()
    worker.start("--site", plain_site.url)  # No --trust: the site is known by now.
    eventually(lambda: is_listed(plain_site, "desk-2"))
    runs(lode, "after the worker")


def test_a_refused_worker_loses_its_place_at_once_and_says_why(plain_site, lode, make_worker):
    worker = make_worker("desk-2").start("--site", plain_site.url, "--trust")
    eventually(lambda: "desk-2" in keys(plain_site))
    lode("worker", "accept", "desk-2")
    eventually(lambda: is_listed(plain_site, "desk-2"))
    job = lode.json("submit", "--", "sh", "-c", "test -e /tmp/never || sleep 600")["id"]
    eventually(lambda: plain_site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
    lode("worker", "refuse", "desk-2")
    worker.ends(1)
    assert "was refused" in worker.log
    assert eventually(lambda: plain_site.api("GET", f"/v1/jobs/{job}").json["tasks"]["waiting"] == 1, seconds=20)
    assert keys(plain_site)["desk-2"]["state"] == "refused"
    assert f"worker desk-2 {keys(plain_site)['desk-2']['fingerprint']} refused" in audit(plain_site)
    worker.start("--site", plain_site.url)
    worker.ends(1)
    lode("cancel", job)
    lode("worker", "accept", "desk-2")
    worker.start("--site", plain_site.url)
    eventually(lambda: is_listed(plain_site, "desk-2"))


def test_a_forgotten_worker_waits_again(plain_site, lode, make_worker):
    worker = make_worker("desk-2").start("--site", plain_site.url, "--trust")
    eventually(lambda: "desk-2" in keys(plain_site))
    lode("worker", "accept", "desk-2")
    eventually(lambda: is_listed(plain_site, "desk-2"))
    lode("worker", "forget", "desk-2")
    eventually(lambda: keys(plain_site).get("desk-2", {}).get("state") == "pending")
    assert f"worker desk-2 {keys(plain_site)['desk-2']['fingerprint']} forgotten" in audit(plain_site)
    assert worker.process.poll() is None
    lode("worker", "accept", "desk-2")
    eventually(lambda: is_listed(plain_site, "desk-2"))
    runs(lode, "again")


def test_another_key_never_takes_the_place_of_an_accepted_name(plain_site, lode, make_worker):
    worker = make_worker("desk-2").start("--site", plain_site.url, "--trust")
    eventually(lambda: "desk-2" in keys(plain_site))
    lode("worker", "accept", "desk-2")
    eventually(lambda: is_listed(plain_site, "desk-2"))
    first = keys(plain_site)["desk-2"]
    thief = make_worker("desk-2", home="thief").start("--site", plain_site.url, "--trust")
    thief.ends(1)
    assert "another key" in thief.log and "lode worker forget desk-2" in thief.log
    now = keys(plain_site)["desk-2"]
    assert now["fingerprint"] == first["fingerprint"] and now["state"] == "accepted"
    assert now["rival"]["fingerprint"] not in (first["fingerprint"], None)
    assert "event=worker_key_changed" in plain_site.log
    assert now["rival"]["fingerprint"] + " refused" in audit(plain_site)
    assert "REFUSED:    names that came with another key: 1;" in lode("status").stdout and now["rival"]["fingerprint"] in lode("workers").stdout
    listed = plain_site.api("GET", "/v1/workers").json["workers"]
    assert [each["name"] for each in listed] == ["desk-2"] and listed[0]["state"] == "idle"
    runs(lode, "still mine")
    # Its fingerprint is listed; whoever accepts it is told what to do if the machine has a new key.
    rival = now["rival"]["fingerprint"]
    refused = lode("worker", "accept", rival, status=1).stderr
    assert f"lode worker forget {first['fingerprint']}" in refused and f"lode worker accept {rival}" in refused, refused
    worker.process.terminate()
    worker.process.wait(30)
    lode("worker", "forget", first["fingerprint"])
    make_worker("desk-2", home="thief").start("--site", plain_site.url, "--trust")
    eventually(lambda: keys(plain_site).get("desk-2", {}).get("state") == "pending")
    lode("worker", "accept", rival)
    assert keys(plain_site)["desk-2"]["fingerprint"] == rival


def test_a_stolen_name_is_told_so_by_code_and_a_stolen_key_is_the_worker(plain_site, lode, tmp_path):
    own, other = Key(tmp_path / "keys", "desk-2"), Key(tmp_path / "keys", "desk-2", stem="other")
    refused = own.hello(plain_site)
    assert refused.code == 403 and refused.json["type"] == "urn:lode:problem:worker_pending"
    assert refused.json["fingerprint"] == own.fingerprint and "lode worker accept desk-2" in refused.json["fix"]
    lode("worker", "accept", "desk-2")
    assert own.hello(plain_site).code == 201
    changed = other.hello(plain_site)
    assert changed.code == 409 and changed.json["type"] == "urn:lode:problem:worker_key_changed"
    # By another name it may ask, and the accepted one may not change its name.
    assert other.hello(plain_site, "desk-3").code == 403
    assert own.hello(plain_site, "desk-9").code == 201
    assert "desk-9" not in [each["name"] for each in plain_site.api("GET", "/v1/workers").json["workers"]]


def test_a_worker_by_its_key_may_do_what_workers_may_and_nothing_else(plain_site, lode, tmp_path):
    key, stranger = Key(tmp_path / "keys", "desk-2"), Key(tmp_path / "keys", "stranger")
    key.hello(plain_site)
    lode("worker", "accept", "desk-2")
    number = key.hello(plain_site).json["worker"]
    assert key.ask(plain_site, "GET", "/v1/whoami").json == {"principal": "worker:desk-2", "role": "worker", "token": None}
    assert key.ask(plain_site, "POST", f"/v1/workers/{number}/poll", {"wait_seconds": 0, "leases": []}).code == 200
    for method, path, body in [
        ("GET", "/v1/jobs", None), ("POST", "/v1/jobs", {"command": ["true"]}), ("GET", "/v1/datasets", None), ("GET", "/v1/tokens", None),
        ("POST", "/v1/worker-invitations", {}), ("POST", "/v1/worker-keys/desk-2/state", {"state": "accepted"}),
        ("DELETE", "/v1/worker-keys/desk-2", None), ("POST", "/v1/jobs/1/replan", {"reason": "no"}),
        ("POST", "/v1/workers", {"name": "l", "place": "sha256:" + "a" * 64, **HELLO}),
    ]:
        assert key.ask(plain_site, method, path, body).code == 403, path
    # Another's number is not its own, and who is not accepted polls for nobody.
    assert stranger.ask(plain_site, "POST", f"/v1/workers/{number}/poll", {"wait_seconds": 0, "leases": []}).code == 404
    assert stranger.ask(plain_site, "GET", "/v1/status").code == 403
    assert stranger.ask(plain_site, "POST", "/v1/jobs", {"command": ["true"]}).code == 403


def test_bad_names_and_words_change_nothing(plain_site, lode, tmp_path):
    key = Key(tmp_path / "keys", "desk-2")
    for name in ("", " desk", "x" * 65, "a\x01b", "sha256:" + "a" * 64):
        assert key.hello(plain_site, name or " ").code == 400, name
    assert keys(plain_site) == {}
    assert key.hello(plain_site).code == 403
    for state in ("pending", "boss", "", None):
        assert plain_site.api("POST", "/v1/worker-keys/desk-2/state", {"state": state}).code == 400
    assert plain_site.api("POST", "/v1/worker-keys/nobody/state", {"state": "accepted"}).code == 404
    assert plain_site.api("DELETE", "/v1/worker-keys/nobody").code == 404
    assert "lode workers lists" in lode("worker", "accept", "nobody", status=1).stderr
    assert keys(plain_site)["desk-2"]["state"] == "pending"


def test_two_that_wait_under_one_name_are_told_apart_by_their_keys(plain_site, lode, tmp_path):
    one, two = Key(tmp_path / "keys", "desk-2"), Key(tmp_path / "keys", "desk-2", stem="two")
    assert one.hello(plain_site).code == two.hello(plain_site).code == 403
    assert "fits 2 workers" in lode("worker", "accept", "desk-2", status=1).stderr
    lode("worker", "accept", two.fingerprint)
    assert two.hello(plain_site).code == 201
    assert "belongs to" in lode("worker", "accept", one.fingerprint, status=1).stderr
    assert one.hello(plain_site).code == 409


def test_a_site_with_a_new_key_is_refused(make_site, make_lode, lode, make_worker):
    site = make_site(options=("--workers", "0"))
    worker = make_worker("desk-2").start("--site", site.url, "--trust", "--grace", "3s")
    worker.says("event=pending")
    known = (worker.lode.home / ".config" / "lode" / "known_sites").read_text()
    assert site.fingerprint in known and "met for the first time" in worker.log
    site.stop()
    for name in ("key.pem", "certificate.pem"):
        (site.directory / name).unlink()
    site.start()
    assert site.fingerprint not in known
    worker.ends(1)  # While it runs it waits out its grace: it might be a passing disturbance.
    assert "key is not the one that is known" in worker.log
    worker.start("--site", site.url, "--trust")  # --trust is for the first meeting only.
    worker.ends(1)
    assert "has changed" in worker.log and "lode login --forget" in worker.log
    worker.lode("login", "--forget", site.url)
    worker.start("--site", site.url, "--trust")
    eventually(lambda: "desk-2" in keys(site))


def test_a_first_meeting_needs_an_answer(plain_site, make_worker, make_lode):
    worker = make_worker("desk-2").start("--site", plain_site.url)
    worker.ends(1)
    assert f"--pin {plain_site.fingerprint}" in worker.log
    worker.start("--site", plain_site.url, "--pin", "sha256:" + "0" * 64, "--grace", "1s")
    worker.ends(1)
    assert keys(plain_site) == {}
    worker.start("--site", plain_site.url, "--pin", plain_site.fingerprint)
    eventually(lambda: "desk-2" in keys(plain_site))


def test_a_first_meeting_asks_on_the_terminal(plain_site, make_worker):
    worker = make_worker("desk-2")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PROGRAMS / "lode", ["lode", "worker", "--site", plain_site.url, "--name", "desk-2"], worker.lode.environment)
    said = b""

    def has(words):
        nonlocal said
        said += os.read(terminal, 4096)
        return words in said

    eventually(lambda: has(b"[yes/no]"), about="the question")
    assert plain_site.fingerprint.encode() in said and keys(plain_site) == {}
    os.write(terminal, b"yes\n")
    eventually(lambda: has(b"event=pending"), about="the worker's first word")
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    worker.start("--site", plain_site.url)  # It is known now.
    worker.says("event=pending")


def test_the_own_site_of_this_machine_needs_no_meeting(plain_site, lode):
    worker = Worker(lode, "desk-2").start("--site", plain_site.url)
    eventually(lambda: "desk-2" in keys(plain_site))
    worker.stop()
    assert not (lode.home / ".config" / "lode" / "known_sites").exists()


def test_an_invitation_enrolls_a_key_once(plain_site, lode, make_worker):
    invitation = lode.json("worker", "invite", "--name", "desk-7")
    said = lode("worker", "invite")
    assert said.stdout.startswith("lode_join_") and f"lode worker enroll --site {plain_site.url} --pin {plain_site.fingerprint}" in said.stderr
    worker = make_worker("desk-2")
    enroll = ("worker", "enroll", "--site", plain_site.url, "--pin", plain_site.fingerprint)
    assert "desk-7" in worker.lode(*enroll, "--token", invitation["token"]).stdout
    key = keys(plain_site)["desk-7"]
    assert (key["state"], key["trust"]) == ("accepted", "invitation")
    assert f"worker desk-7 {key['fingerprint']} enrolled" in audit(plain_site)
    # What it says is to be typed is enough: the site was met, and nothing is asked.
    worker.start("--site", plain_site.url)
    eventually(lambda: is_listed(plain_site, "desk-7"))
    runs(lode, "enrolled")
    other = make_worker("other")
    assert "was used before" in other.lode(*enroll, "--token", invitation["token"], status=1).stderr
    assert "desk-7" in keys(plain_site) and len(keys(plain_site)) == 1
    # From standard input and from the environment.
    assert "accepted" in other.lode(*enroll, input=said.stdout).stdout
    token = lode.json("worker", "invite")["token"]
    assert "accepted" in make_worker("third").lode(*enroll, "--name", "third", environment={"LODE_TOKEN": token}).stdout
    assert {"desk-7", "third"} < set(keys(plain_site))


def test_who_met_another_key_there_enrolls_nobody_and_keeps_the_invitation(plain_site, lode, make_worker):
    worker = make_worker("desk-2")
    known = worker.lode.home / ".config" / "lode" / "known_sites"
    known.parent.mkdir(parents=True, mode=0o700)
    known.touch(0o600)
    known.write_text(f"{plain_site.address} sha256:{'0' * 64} 2026-11-21T18:00:00Z\n")
    token = lode.json("worker", "invite")["token"]
    enroll = ("worker", "enroll", "--site", plain_site.url, "--pin", plain_site.fingerprint, "--token", token)
    said = worker.lode(*enroll, status=1).stderr
    assert "has changed" in said and "lode login --forget" in said
    assert keys(plain_site) == {}
    known.unlink()
    assert "accepted" in worker.lode(*enroll).stdout
    assert plain_site.fingerprint in known.read_text()


def test_an_invitation_that_is_no_good_enrolls_nobody(plain_site, lode, make_worker, tmp_path):
    enroll = ("worker", "enroll", "--site", plain_site.url, "--pin", plain_site.fingerprint)
    worker = make_worker("desk-2")
    short = lode.json("worker", "invite", "--expires", "1s")
    key = Key(tmp_path / "keys", "desk-2")

    def use(token, name="desk-2"):
        return key.ask(plain_site, "POST", "/v1/worker-keys", {"token": token, "name": name})

    expires = datetime.datetime.fromisoformat(short["expires_at"].replace("Z", "+00:00"))
    eventually(lambda: datetime.datetime.now(datetime.timezone.utc) > expires)
    assert "expired at" in worker.lode(*enroll, "--token", short["token"], status=1).stderr
    assert use("lode_join_" + "x" * 43).code == 403
    assert use("lode_" + "x" * 43).code == 403
    assert "no invitation" in worker.lode(*enroll, "--token", "nonsense", status=2).stderr
    good = lode.json("worker", "invite")["token"]
    without_key = plain_site.api("POST", "/v1/worker-keys", {"token": good, "name": "x"})
    assert without_key.code == 400 and "shows no key" in without_key.json["detail"]
    assert use(good, " bad").code == 400
    assert plain_site.api("POST", "/v1/worker-invitations", {"name": " bad"}).code == 400
    assert plain_site.api("POST", "/v1/worker-invitations", {"expires_seconds": 0}).code == 400
    assert keys(plain_site) == {}
    assert use(good).code == 201  # What failed has not used it up.
    # A name that is another's is not given away, even by an invitation.
    second = Key(tmp_path / "keys", "second")
    assert second.ask(plain_site, "POST", "/v1/worker-keys", {"token": lode.json("worker", "invite")["token"], "name": "desk-2"}).code == 409
    # It is a word of an operator's, so it outdoes an earlier one.
    lode("worker", "refuse", "desk-2")
    assert key.hello(plain_site).json["type"] == "urn:lode:problem:worker_refused"
    assert use(lode.json("worker", "invite")["token"]).code == 201
    assert key.hello(plain_site).code == 201


def test_certificates_of_a_configured_authority_are_accepted(make_site, lode, make_worker, tmp_path):
    folder = tmp_path / "ca"
    authority = Key(folder, "The authority", is_authority=True, stem="authority")
    foreign = Key(folder, "Another authority", is_authority=True, stem="foreign")
    site = make_site(options=("--workers", "0", "--worker-ca", authority.certificate))
    good = Key(folder, "node-1", by=authority)
    worker = make_worker("other-name").start("--site", site.url, "--trust", "--certificate", good.certificate, "--key", good.key)
    eventually(lambda: is_listed(site, "node-1"))
    runs(lode, "certified")
    key = keys(site)["node-1"]
    assert (key["state"], key["trust"], key["fingerprint"]) == ("accepted", "authority", good.fingerprint)
    assert not (worker.folder / "worker.key").exists()

    late = Key(folder, "node-2", by=authority, expires=-DAY)
    bad = Key(folder, "node-3", by=foreign)
    own = Key(folder, "node-4")
    not_authority = Key(folder, "node-5", by=good)
    for each in (late, bad, own, not_authority):
        answer = each.hello(site)
        assert answer.code == 403 and answer.json["type"] == "urn:lode:problem:worker_pending", each.name
    # A name of the authority's is not for others, but renewed certificates and several keys share one.
    assert Key(folder, "node-1", stem="thief").hello(site).code == 409
    renewed = Key(folder, "node-1", by=authority, stem="renewed")
    assert renewed.hello(site).code == 201 and good.hello(site).code == 201

    # An operator's word against one key comes before the authority's.
    lode("worker", "refuse", good.fingerprint)
    worker.ends(1)
    assert good.hello(site).json["type"] == "urn:lode:problem:worker_refused" and renewed.hello(site).code == 201
    # Without the authority its certificates are worth nothing.
    site.stop()
    site.options = ["--workers", "0"]
    site.start()
    assert renewed.hello(site).json["type"] == "urn:lode:problem:worker_pending"


def test_a_certificate_that_ends_while_it_is_connected_ends_its_trust(make_site, tmp_path):
    authority = Key(tmp_path / "ca", "The authority", is_authority=True, stem="authority")
    site = make_site(options=("--workers", "0", "--worker-ca", authority.certificate))
    left = datetime.timedelta(seconds=15) + (datetime.datetime.now(datetime.timezone.utc) - NOW)
    key = Key(tmp_path / "ca", "node-1", by=authority, expires=left)
    with key.connect(site) as ask:
        assert ask("POST", "/v1/workers", {"name": "whatever", **HELLO}).code == 201
        assert ask("GET", "/v1/whoami").json["principal"] == "worker:node-1"
        eventually(lambda: ask("GET", "/v1/whoami").code != 200, about="the end of the certificate")
        assert ask("POST", "/v1/workers", {"name": "node-1", **HELLO}).json["type"] == "urn:lode:problem:worker_pending"


def test_a_site_does_not_start_with_what_is_no_authority(lode, tmp_path):
    (tmp_path / "nonsense.pem").write_text("nonsense")
    for path in (tmp_path / "nonsense.pem", tmp_path / "missing.pem"):
        ended = lode("site", "--address", "127.0.0.1:0", "--workers", "0", "--worker-ca", path, status=1)
        assert str(path) in ended.stderr


def test_any_worker_joins_an_open_site_at_once(make_site, lode, make_worker, tmp_path):
    site = make_site(options=("--workers", "0", "--open"))
    make_worker("desk-2").start("--site", site.url, "--trust")
    eventually(lambda: is_listed(site, "desk-2"))
    runs(lode, "open")
    key = keys(site)["desk-2"]
    assert (key["state"], key["trust"]) == ("accepted", "open")
    assert f"{key['fingerprint']} accepted|the site is open" in audit(site)
    assert "OPEN" in lode("status").stdout and "event=open_site" in site.log and "OPEN" in site.log
    assert Key(tmp_path / "keys", "desk-2").hello(site).code == 409  # Open is not careless: names keep their keys.
    # What openness gave ends with it.
    site.stop()
    site.options = ["--workers", "0"]
    site.start()
    eventually(lambda: keys(site).get("desk-2", {}).get("state") == "pending")
    assert "OPEN" not in lode("status").stdout


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "8.8.8.8:0", "[2001:db8::1]:0"])
def test_an_open_site_refuses_addresses_that_are_not_private(lode, address):
    ended = lode("site", "--address", address, "--workers", "0", "--open", status=1)
    assert "no private address" in ended.stderr and "leave out --open" in ended.stderr
    assert "event=open_site" not in ended.stderr  # Nobody may join.
    assert not (lode.data / "site.json").exists()


def test_ten_thousand_unknown_keys_do_not_grow_the_table(plain_site, lode, tmp_path):
    """The first ones through the network, as many as that takes to fill the table; the rest is test_known_workers.c."""
    accepted = Key(tmp_path / "keys", "mine")
    accepted.hello(plain_site)
    lode("worker", "accept", "mine")

    def flood(part):
        for i in range(PENDING_MAX // 4 + 20):
            assert Key(tmp_path / f"flood-{part}", f"w-{part}-{i}").hello(plain_site).code == 403

    threads = [threading.Thread(target=flood, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = plain_site.api("GET", "/v1/status").json["worker_keys"]
    assert status["pending"] == PENDING_MAX and status["accepted"] == 1
    assert accepted.hello(plain_site).code == 201
    listed = lode.json("workers")["worker_keys"]
    assert len(listed) == PENDING_MAX + 1


def test_a_worker_with_a_token_works_as_before(plain_site, lode, make_worker, tmp_path):
    token = lode("token", "create", "pool", "--role", "worker").stdout
    (tmp_path / "worker.token").write_text(token)
    make_worker("desk-2").start("--site", plain_site.url, "--pin", plain_site.fingerprint, "--token-file", tmp_path / "worker.token")
    eventually(lambda: is_listed(plain_site, "desk-2"))
    runs(lode, "token")
    assert keys(plain_site) == {}


def test_a_worker_says_to_who_started_it_what_the_site_says(plain_site, lode, make_lode):
    machine = make_lode("machine")
    with machine.start("worker", "--json", "--name", "desk-2", "--cpus", "1", "--site", plain_site.url, "--trust") as process:
        try:
            offer = json.loads(process.stdout.readline())
            assert offer["name"] == "desk-2" and offer["pid"] == process.pid
            assert json.loads(process.stdout.readline()) == {"state": "pending"}
            lode("worker", "accept", offer["fingerprint"])
            assert json.loads(process.stdout.readline()) == {"state": "registered"}
            twin = machine("worker", "--json", "--name", "desk-2", "--site", plain_site.url, status=0)
            assert json.loads(twin.stdout.splitlines()[1])["status"] == "conflict"
            lode("worker", "refuse", "desk-2")
            failed = json.loads(process.stdout.readline())
            assert (failed["state"], failed["status"]) == ("failed", "denied") and failed["detail"], failed
        finally:
            process.terminate()
