"""One large input that many workers need at once, each on a machine of its own (a network namespace), against plain downloads from nginx.

The machines are those of the end-to-end tests (tests/e2e/networks.py), so this takes root, or CAP_NET_ADMIN and CAP_SYS_ADMIN. All share the cores
of this one: nine tenths of the time is TLS and SHA-256 of every copy, which on real machines run side by side.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure import LODE, line, timed
from transfer import NGINX

WORKERS = 8
SIZE_MIB = int(os.environ.get("LODE_BENCH_MIB", 1024))
PORT = 8443  # In a namespace of its own: nobody else is there.
WAIT_SECONDS = 1200


def write_input(path):
    """SIZE_MIB of bytes that no two runs have in common."""
    path.parent.mkdir()
    block = os.urandom(1 << 20)
    with open(path, "wb") as out:
        for i in range(SIZE_MIB):
            out.write(i.to_bytes(8, "big") + block[8:])


class Peer:
    """nginx on the site's machine, with the site's key, and curl on those of the workers."""

    def __init__(self, site, workers, path, folder):
        self.workers = workers
        self.url = f"https://{site.node.address}:{PORT}/{path.name}"
        folder.mkdir()
        (folder / "root").symlink_to(path.parent)
        for each in (folder, *folder.parents[:1], path.parent):
            each.chmod(0o755)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, site=site.directory, address=site.node.address, port=PORT))
        self.process = subprocess.Popen([*site.node.prefix, "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder])
        self.folder = folder
        probe = [*site.node.prefix, "/usr/bin/curl", "-ksS", "-r", "0-1", "-o", "/dev/null", self.url]
        while subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            if self.process.poll() is not None:
                raise RuntimeError(f"nginx did not start: {(folder / 'error.log').read_text()}")
            time.sleep(0.05)

    def download(self, count):
        """Downloads by the first `count` workers' machines at once, each to a file."""
        running = [
            subprocess.Popen([*worker.node.prefix, "/usr/bin/curl", "-sSk", "--fail", "--tlsv1.3", "-o", self.folder / worker.name, self.url])
            for worker in self.workers[:count]]
        for process in running:
            if process.wait() != 0:
                raise RuntimeError("a download from nginx failed")
        for worker in self.workers[:count]:
            (self.folder / worker.name).unlink()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def distribute(site, data, gate):
    """Seconds from the submission of a job with a task for each worker to its end, by when all have the input."""
    site("data", "add", "t:big", data)
    site("data", "add", "t:gate", gate)
    script = f"test $(stat -c %s /data/big/big) = {SIZE_MIB << 20} || exit 1; until [ -e /data/gate/go ]; do sleep 0.05; done"
    began = time.monotonic()
    job = site.api("POST", "/v1/jobs", {"command": ["sh", "-c", script], "count": WORKERS, "data": [{"id": "t:big"}, {"id": "t:gate"}]}).json["id"]
    while not (shown := site.api("GET", f"/v1/jobs/{job}").json)["finished_at"]:
        if shown["tasks"]["running"] == WORKERS:
            (gate / "go").touch()  # None has ended before: so each has a worker of its own.
        if time.monotonic() - began > WAIT_SECONDS:
            raise RuntimeError(f"the job does not end: {shown}")
        time.sleep(0.02)
    if shown["state"] != "succeeded":
        raise RuntimeError(f"the job ended as {shown['state']}: {shown['message']}")
    return time.monotonic() - began


def measure_round(folder):
    """(seconds by Lode, bytes that the site sent, seconds of one download from nginx, seconds of WORKERS at once)"""
    from networks import FederationApart, Network
    from test_inputs_shared import start_workers

    apart = FederationApart(folder, Network())
    apart.workers = []
    peer = None
    try:
        site = apart.site("site")
        big = folder / "data" / "big"
        write_input(big)
        (folder / "gate").mkdir()
        workers = start_workers(apart, site, big.parent, WORKERS)
        peer = Peer(site, workers, big, folder / "nginx")
        peer.download(1)  # The file is in the page cache for everybody.
        one, _ = timed(lambda: peer.download(1))
        ours = distribute(site, big.parent, folder / "gate")
        sent = site.api("GET", "/v1/status").json["inputs"]["bytes_sent"]
        star, _ = timed(lambda: peer.download(WORKERS))
        return ours, sent, one, star
    finally:
        if peer:
            peer.stop()
        for worker in apart.workers:
            worker.process.terminate()
            worker.process.wait()
        apart.stop()
        apart.network.close()


def measure_distribute(rounds=1):
    """A large input to eight workers: the time, and how much of it the site sent itself."""
    os.environ.setdefault("LODE_PROGRAMS", str(LODE.parent))
    sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
    ours, sent, ones, stars = [], [], [], []
    for _ in range(rounds):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-bench-distribute-"))
        try:
            for into, value in zip((ours, sent, ones, stars), measure_round(folder)):
                into.append(value)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    size = SIZE_MIB << 20
    yield line("distribute", "median_ms", 1000 * statistics.median(ours), "floor_ms", 1000 * statistics.median(ones),
               [a / b for a, b in zip(ours, ones)], floor="one download of the file from nginx, same key, TLS 1.3",
               at_once_ms=round(1000 * statistics.median(stars), 1), at_once=f"{WORKERS} downloads at once from one nginx",
               workers=WORKERS, size_mib=SIZE_MIB, site_sent=[round(each / size, 3) for each in sent], target_site_sent=2)
