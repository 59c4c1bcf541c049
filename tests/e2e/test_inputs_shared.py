"""Workers that give each other what they have fetched, each on a machine of its own."""

import hashlib
import ssl
import urllib.error
import urllib.request

import pytest
from conftest import eventually
from networks import FederationApart, make_network

MIB = 1 << 20
WORKERS = 8


class Worker:
    """A worker on a machine of its own, whose files are not the site's: `hidden` is empty there."""

    def __init__(self, site, network, folder, name, hidden, options, serves=None):
        self.node = network.node(name)
        self.name = name
        self.directory = folder / name
        self.log_path = folder / f"{name}.log"
        token = folder / f"{name}.token"
        token.write_text(site.api("POST", "/v1/tokens", {"principal": name, "role": "worker"}).json["token"] + "\n")
        words = ["worker", "--site", site.url, "--pin", site.fingerprint, "--token-file", token, "--name", name, "--cpus", "1",
                 "--directory", self.directory, "--serve", serves or f"{self.node.address}:0", *options]
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
        apart.workers.append(Worker(site, apart.network, apart.folder, f"w{number}", hidden, options(number), "auto" if number % 2 else None))
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
    url = worker.log.split("event=serving url=")[1].split()[0]
    other = site.api("POST", "/v1/workers", {"name": "other", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1}).json["worker"]
    question = {"job": job, "digest": f"sha256:{digest}"}
    assert site.api("POST", f"/v1/workers/{other}/sources", question).code == 403  # It was not told of the job.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def get(what, token=None):
        request = urllib.request.Request(f"{url}/v1/blobs/{what}", headers={"Authorization": f"Bearer {token}"} if token else {})
        with site.node.inside():
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


def test_a_worker_that_cannot_be_reached_is_passed_over(apart, folder):
    size = 4 * MIB
    site = apart.site("site")
    job, gate, digest = begin(site, folder / "data", size, 2)
    (first,) = start_workers(apart, site, folder / "data", 1)
    eventually(lambda: "event=input-fetched" in first.log)
    (number,) = [worker["id"] for worker in site.api("GET", "/v1/workers").json["workers"]]
    # What the worker says by itself, a moment later: the site knows it from here on.
    said = site.api("POST", f"/v1/workers/{number}/sources", {"job": job, "digest": f"sha256:{digest}", "has_it": True},
                    token=(folder / "w0.token").read_text().strip())
    assert said.code == 200, said
    second = Worker(site, apart.network, apart.folder, "second", folder / "data", ())
    apart.workers.append(second)
    apart.network.cut(first.node, second.node)
    eventually(lambda: "event=input-fetched" in second.log, seconds=120)
    assert "event=worker-failed" in second.log and sent(site) == 2 * size
    (gate / "go").touch()
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["state"] == "succeeded")
