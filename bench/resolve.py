"""Resolution at a hub with many identifiers, against nginx that serves a static file of the same size over the same TLS.

The hub is a real `lode site --mirror` that got its logs pushed as from real sites. IDS, SITES and REPLICAS in the environment (LODE_BENCH_IDS ...) make it
larger. With LODE_BENCH_STORE=FOLDER the hub is one that `mirror_load FOLDER SITES IDS REPLICAS ...` has filled, with these three as there: nothing is pushed, and what is in the
folder stays.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import statistics
import struct
import subprocess
import tempfile
import time

from measure import line, program, site

IDS = int(os.environ.get("LODE_BENCH_IDS", 100_000))
SITES = int(os.environ.get("LODE_BENCH_SITES", 10))
REPLICAS = int(os.environ.get("LODE_BENCH_REPLICAS", 5))
STORE = os.environ.get("LODE_BENCH_STORE")
CONNECTIONS = 32
SECONDS = 3
NGINX = """
worker_processes 2; pid {folder}/pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  ssl_certificate {site}/certificate.pem; ssl_certificate_key {site}/key.pem; ssl_protocols TLSv1.3;
  server {{ listen 127.0.0.1:{port} ssl; root {folder}/root; location /v1/resolve/ {{ try_files /answer =404; }} }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Member:
    """A site of which only the key and the log exist."""

    def __init__(self, folder, number, hub):
        self.folder = folder / f"site-{number}"
        self.log = folder / f"log-{number}"
        self.name = f"site-{number}"
        der = subprocess.run(["/usr/bin/openssl", "pkey", "-in", self.folder / "key.pem", "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.fingerprint = "sha256:" + hashlib.sha256(der).hexdigest()
        self.public_key = base64.b64encode(der[-32:]).decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.folder / "certificate.pem", self.folder / "key.pem")
        self.connection = http.client.HTTPSConnection("127.0.0.1", hub.port, context=context, timeout=600)

    def post(self, path, body):
        self.connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def statement(self):
        said = {"kind": "site", "name": self.name, "public_key": self.public_key, "urls": [f"https://{self.name}.example.org:7733"],
                "version": "0.1.0", "protocol": 1, "is_hub": False, "time": "2026-11-21T10:00:00Z", "site": self.fingerprint}
        message = self.folder / "message"
        message.write_bytes(b"lode-statement-1\n" + json.dumps(said, sort_keys=True, separators=(",", ":")).encode())
        signature = subprocess.run(["/usr/bin/openssl", "pkeyutl", "-sign", "-rawin", "-in", message, "-inkey",
                                    self.folder / "key.pem"], check=True, capture_output=True).stdout
        return json.dumps({**said, "signature": base64.b64encode(signature).decode()}, sort_keys=True, separators=(",", ":"))

    def announce(self):
        """Tells the hub of the site."""
        self.post("/v1/federation/announce", self.statement())

    def push(self):
        """Announces the site and pushes its log."""
        self.announce()
        with open(self.log, "rb") as log:
            while size := log.read(8):
                self.post(f"/v1/federation/logs/{self.fingerprint}", log.read(struct.unpack("<Q", size)[0]))
        self.connection.close()
        self.log.unlink()


def load(port, seed, rate=0, seconds=SECONDS):
    """What the load generator measured."""
    return json.loads(subprocess.run([program("resolve_load"), str(port), str(CONNECTIONS), str(seconds), str(rate), str(IDS), str(seed), "1"],
                                     check=True, capture_output=True).stdout)


def start_nginx(folder, key_folder, answer, port):
    (folder / "root").mkdir()
    (folder / "root" / "answer").write_bytes(answer)
    folder.chmod(0o755)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, site=key_folder, port=port))
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder])
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def one_answer(hub):
    """The body of the answer about the first dataset; names are made as in mirror_load.c."""
    hub.connection.request("GET", "/v1/resolve/doi%3A10.5065%2Fe220a8397b1dcdaf")
    body = hub.connection.getresponse().read()
    if len(json.loads(body)["locations"]) != REPLICAS:
        raise RuntimeError(body.decode())
    return body


@contextlib.contextmanager
def filled_hub(folder):
    """A hub that has all logs, what it took before it had any, and how many entries a second were pushed (none to one that was filled before)."""
    source = pathlib.Path(STORE or folder)
    if not STORE:
        subprocess.run([program("mirror_load"), source, str(SITES), str(IDS), str(REPLICAS), "2", "logs"], check=True)
    with site(workers=0, options=("--mirror", "--join", "open"), directory=source / "hub" if STORE else None) as hub:
        empty_mib = hub.resident_mib(what="RssAnon")
        begun = time.monotonic()
        for number in range(SITES):
            member = Member(source, number, hub)
            if STORE:
                member.announce()
            else:
                member.push()
        seconds = time.monotonic() - begun
        yield hub, empty_mib, None if STORE else round(IDS * REPLICAS / seconds)


@contextlib.contextmanager
def own_processor(processes):
    """While it lasts these servers, children too, have the machine's first processor, and what this thread starts, the client, has the others: as
    clients on other machines would. Yields whether there are enough for that."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield False
        return

    def place(where):
        for process in processes:
            parents = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
            pids = [process.pid] + [int(pid) for pid, parent in map(str.split, parents) if int(parent) == process.pid]
            for pid in pids:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(thread), where)

    place(cores[:1])
    os.sched_setaffinity(0, cores[1:])
    try:
        yield True
    finally:
        os.sched_setaffinity(0, cores)
        place(cores)


def latency(name, ports, rate, rounds):
    """The line of a fixed rate: at ours, and at nginx."""
    fixed = [[load(port, seed, rate) for port in ports] for seed in range(101, rounds + 101)]
    p99 = [pair[0]["p99_us"] / 1000 for pair in fixed]
    peer_p99 = [pair[1]["p99_us"] / 1000 for pair in fixed]
    return line(name, "median_ms", statistics.median(p99), "floor_ms", statistics.median(peer_p99),
                [a / b for a, b in zip(p99, peer_p99)], floor="nginx at the same rate in the same rounds", target_ms=5,
                per_second=round(rate), p50_ms=statistics.median(pair[0]["p50_us"] / 1000 for pair in fixed))


def measure_resolve(rounds=5):
    """Answers a second at full speed, and the 99th percentile at fixed rates: half and a third of what both sustain, and half of what both
    sustain on a processor that the client has no part of."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-bench-resolve-"))
    peer = folder / "nginx"
    peer.mkdir()
    folder.chmod(0o755)
    nginx = None
    try:
        with filled_hub(folder) as (hub, empty_mib, pushed_per_second):
            loaded_mib = hub.resident_mib(what="RssAnon")
            port = free_port()
            nginx = start_nginx(peer, hub.directory, one_answer(hub), port)
            load(hub.port, 0)
            load(port, 0)
            pairs = [(load(hub.port, seed), load(port, seed)) for seed in range(1, rounds + 1)]
            ours = [pair[0]["per_second"] for pair in pairs]
            theirs = [pair[1]["per_second"] for pair in pairs]
            rate = min(statistics.median(ours), statistics.median(theirs))
            size_mib = sum(path.stat().st_size for path in hub.directory.rglob("*") if path.is_file()) / 1048576
            yield line("resolve", "per_second", statistics.median(ours), "floor_per_second", statistics.median(theirs),
                       [a / b for a, b in zip(ours, theirs)], floor="nginx, a static file of the same size, same TLS and client",
                       target=0.5, bytes_each=pairs[0][0]["bytes_each"], ids=IDS, replicas=IDS * REPLICAS,
                       pushed_per_second=pushed_per_second, empty_mib=round(empty_mib, 1),
                       loaded_mib=round(loaded_mib, 1), after_mib=round(hub.resident_mib(what="RssAnon"), 1),
                       mapped_mib=round(hub.resident_mib(what="RssFile"), 1), stored_mib=round(size_mib, 1))
            yield latency("resolve_p99", (hub.port, port), rate / 2, rounds)
            yield latency("resolve_p99_third", (hub.port, port), rate / 3, rounds)
            with own_processor((hub.process, nginx)) as is_apart:
                if is_apart:
                    rate = statistics.median(min(load(each, seed)["per_second"] for each in (hub.port, port)) for seed in range(201, rounds + 201))
                    yield latency("resolve_p99_apart", (hub.port, port), rate / 2, rounds)
    finally:
        if nginx:
            nginx.terminate()
            nginx.wait()
        shutil.rmtree(folder, ignore_errors=True)
