"""Workers that give each other what they have fetched, each on a machine of its own."""

import hashlib
import pathlib
import ssl
import urllib.error
import urllib.request

import pytest
from conftest import Member, eventually
from networks import FederationApart, make_network

MIB = 1 << 20
WORKERS = 8


class Worker:
    """A worker on a machine of its own, or on that of the site, whose files are not the site's: `hidden` is empty there."""

    def __init__(self, site, network, folder, name, hidden, options=(), at_site=False, credential=None):
        self.node = site.node if at_site else network.node(name)
        self.name = name
        self.directory = folder / name
        self.log_path = folder / f"{name}.log"
        token = folder / f"{name}.token"
        token.write_text(site.api("POST", "/v1/tokens", credential or {"principal": name, "role": "worker"}).json["token"] + "\n")
        words = ["worker", "--site", site.url, "--pin", site.fingerprint, "--token-file", token, "--name", name, "--cpus", "1",
                 "--directory", self.directory, *options]
        before = site.user.prefix
        site.user.prefix = [*self.node.prefix, "unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$1" && shift && exec "$@"', "hide", str(hidden)]
        try:
            with open(self.log_path, "ab") as log:
                self.process = site.user.start(*words, stdout=log, stderr=log)
        finally:
            site.user.prefix = before

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def url(self):
        """Where it serves, once it has something to give."""
        eventually(lambda: "event=serving url=" in self.log, about=f"{self.name} serves")
        return self.log.split("event=serving url=")[1].split()[0]

    def count(self, event):
        return self.log.count(f"event={event}")

    def listens(self):
        """Whether its process listens for connections of the network."""
        process = pathlib.Path("/proc") / str(self.process.pid)
        rows = [line.split() for name in ("tcp", "tcp6") for line in (process / "net" / name).read_text().splitlines()[1:]]
        listening = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
        return any(str(file.readlink()) in listening for file in (process / "fd").iterdir())


@pytest.fixture
def apart(folder):
    network = make_network()
    federation = FederationApart(folder, network)
    federation.workers = []
    yield federation
    for worker in federation.workers:
        worker.process.terminate()
    for worker in federation.workers:
        worker.process.wait(60)
    federation.stop()
    network.close()


def start_workers(apart, site, hidden, count, options=lambda number: ()):
    for number in range(count):
        apart.workers.append(Worker(site, apart.network, apart.folder, f"w{number}", hidden, options(number)))
    eventually(lambda: len(site.api("GET", "/v1/workers").json["workers"]) == count)
    return apart.workers


def begin(site, data, size, count):
    """A job with a task for each worker, all of which wait for each other; returns it, the gate and the digest of the data."""
    content = hashlib.shake_256(b"shared").digest(size)
    data.mkdir()
    (data / "big").write_bytes(content)
    gate = data.parent / "gate"
    gate.mkdir()
    site("data", "add", "t:big", data)
    site("data", "add", "t:gate", gate)
    script = "sha256sum < /data/big/big; until [ -e /data/gate/go ]; do sleep 0.05; done"
    answer = site.api("POST", "/v1/jobs", {"command": ["sh", "-c", script], "count": count, "data": [{"id": "t:big"}, {"id": "t:gate"}]})
    assert answer.code == 201, answer
    return answer.json["id"], gate, hashlib.sha256(content).hexdigest()


def sent(site):
    return site.api("GET", "/v1/status").json["inputs"]["bytes_sent"]


def test_the_site_sends_a_file_for_many_workers_twice_at_most(apart, folder):
    size = 64 * MIB
    site = apart.site("site")
    job, gate, digest = begin(site, folder / "data", size, WORKERS)
    workers = start_workers(apart, site, folder / "data", WORKERS)
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == WORKERS, seconds=120, about="a task at each worker")
    (gate / "go").touch()
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["state"] == "succeeded", about="the end of the job")
    for index in range(WORKERS):
        assert site.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body.split()[0] == digest.encode()
    assert size <= sent(site) <= 2 * size
    assert sum("event=input-fetched" in worker.log and "worker=0" not in worker.log.split("event=input-fetched")[1].split("\n")[0] for worker in workers) >= WORKERS - 2


def test_a_worker_serves_who_has_a_pass_for_that_very_file(apart, folder):
    site = apart.site("site")
    job, gate, digest = begin(site, folder / "data", 2 * MIB, 1)
    (worker,) = start_workers(apart, site, folder / "data", 1)
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
    url = worker.url
    assert worker.listens() and url.startswith(f"https://{worker.node.address}:")
    other = site.api("POST", "/v1/workers", {"name": "other", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1}).json["worker"]
    question = {"job": job, "digest": f"sha256:{digest}"}
    assert site.api("POST", f"/v1/workers/{other}/sources", question).code == 403  # It was not told of the job.
    stranger = apart.network.node("stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def get(what, token=None):
        request = urllib.request.Request(f"{url}/v1/blobs/{what}", headers={"Authorization": f"Bearer {token}"} if token else {})
        with stranger.inside():
            try:
                with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

    assert get(f"sha256:{digest}") == 403
    assert get(f"sha256:{digest}", (folder / "w0.token").read_text().strip()) == 403
    assert get(f"sha256:{digest}", "pass1.9999999999." + "0" * 64) == 403
    assert get("..%2Fserve%2Fkey.pem", site.token) == 403
    (gate / "go").touch()


def is_known_there(site, folder, worker, job, digest):
    """Tells the site that the worker has the file: what it says by itself, a moment later."""
    (number,) = [each["id"] for each in site.api("GET", "/v1/workers").json["workers"] if each["name"] == worker.name]
    token = (folder / f"{worker.name}.token").read_text().strip()
    with worker.node.inside():  # The site looks at the address that it comes from.
        said = Member.api(site, "POST", f"/v1/workers/{number}/sources", {"job": job, "digest": f"sha256:{digest}", "has_it": True}, token=token)
    assert said.code == 200, said


def has_fetched(worker, count=1):
    eventually(lambda: worker.count("input-fetched") >= count, seconds=120, about=f"{worker.name} has fetched {count} files")


def finish(site, job, gate):
    (gate / "go").touch()
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["state"] == "succeeded", about="the end of the job")


def one_has_it(apart, folder, size, options=()):
    """A job of two tasks, and a worker that has fetched what they need from the site."""
    site = apart.site("site")
    job, gate, digest = begin(site, folder / "data", size, 2)
    (first,) = start_workers(apart, site, folder / "data", 1, lambda number: options)
    has_fetched(first)
    is_known_there(site, folder, first, job, digest)
    return site, job, gate, first


def add_worker(apart, site, name, options=(), **said):
    apart.workers.append(Worker(site, apart.network, apart.folder, name, apart.folder / "data", options, **said))
    return apart.workers[-1]


def test_a_worker_that_cannot_be_reached_is_passed_over_and_remembered(apart, folder):
    """A firewall that drops what comes costs a few seconds once: the next file comes from the site at once."""
    size = 4 * MIB
    site, job, gate, first = one_has_it(apart, folder, size, ("--label", "w0"))
    second = add_worker(apart, site, "second", ("--label", "second"))
    apart.network.cut(first.node, second.node)
    has_fetched(second)
    assert second.count("worker-failed") == 1 and sent(site) == 2 * size
    finish(site, job, gate)
    more = folder / "data" / "more"
    more.mkdir()
    (more / "big").write_bytes(hashlib.shake_256(b"more").digest(size))
    site("data", "add", "t:more", more)
    for worker, count in ((first, 2), (second, 2)):
        description = {"command": ["test", "-e", "/data/more/big"], "require": [worker.name], "data": [{"id": "t:more"}], "cache": "off"}
        answer = site.api("POST", "/v1/jobs?wait=60", description).json
        assert answer["state"] == "succeeded", answer
        assert worker.count("input-fetched") == count
    assert second.count("worker-failed") == 1 and sent(site) == 4 * size


def test_a_worker_gives_what_it_has_to_others_after_a_restart_of_the_site(apart, folder):
    site, job, gate, first = one_has_it(apart, folder, 2 * MIB)
    site.kill()
    site.start()
    eventually(lambda: first.count("inputs-told") == 1, about="the site is told again")
    second = add_worker(apart, site, "second")
    has_fetched(second)
    assert sent(site) == 0 and "worker=0" not in second.log.split("event=input-fetched")[1].split("\n")[0]
    finish(site, job, gate)


def test_who_serves_nobody_does_not_listen(apart, folder):
    size = 2 * MIB
    site, job, gate, first = one_has_it(apart, folder, size, ("--serve", "none"))
    second = add_worker(apart, site, "second")
    has_fetched(second)
    assert sent(site) == 2 * size and second.url and second.listens()
    assert not first.listens() and first.count("serving") == 0
    finish(site, job, gate)


def test_a_worker_on_the_machine_of_the_site_does_not_listen(apart, folder):
    size = 2 * MIB
    site = apart.site("site")
    job, gate, _ = begin(site, folder / "data", size, 2)
    here = add_worker(apart, site, "here", at_site=True)
    there = add_worker(apart, site, "there")
    has_fetched(here)
    has_fetched(there)
    assert there.url and there.listens()
    assert not here.listens() and here.count("serving") == 0 and here.count("cannot-serve") == 0
    finish(site, job, gate)


def test_a_runner_of_a_user_neither_listens_nor_is_sent_to_others(apart, folder):
    size = 2 * MIB
    site, job, gate, first = one_has_it(apart, folder, size)
    owner = site.api("GET", f"/v1/jobs/{job}").json["owner"]
    runner = add_worker(apart, site, "runner", credential={"class": "user", "user": owner})
    has_fetched(runner)
    assert sent(site) == 2 * size and first.listens()
    assert not runner.listens() and runner.count("serving") == 0
    finish(site, job, gate)


def test_who_has_nothing_to_give_does_not_listen(apart, folder):
    site = apart.site("site")
    (folder / "data").mkdir()
    (worker,) = start_workers(apart, site, folder / "data", 1)
    job = site.api("POST", "/v1/jobs?wait=60", {"command": ["true"]}).json
    assert job["state"] == "succeeded", job
    assert not worker.listens() and worker.count("serving") == 0


@pytest.mark.parametrize("serves, comes_from_site", ((None, True), ("auto", False), ("address", False)))
def test_of_two_zones_only_who_was_told_to_serves_the_other_one(apart, folder, serves, comes_from_site):
    size = 2 * MIB
    words = {None: (), "auto": ("--serve", "auto"), "address": ("--serve", "10.0.0.2:0")}[serves]
    site, job, gate, first = one_has_it(apart, folder, size, ("--label", "zone=a", *words))
    assert first.url.startswith("https://10.0.0.2:")
    second = add_worker(apart, site, "second", ("--label", "zone=b"))
    has_fetched(second)
    assert sent(site) == (2 * size if comes_from_site else size)
    finish(site, job, gate)
