"""What all benchmarks share: a site to measure, runs, medians, and the line that is printed."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import statistics
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("LODE_BUILD", pathlib.Path(__file__).resolve().parent.parent / "build"))
LODE = BUILD / "programs" / "lode"
RUNNER = BUILD / "programs" / "runner" / "lode-runner"
START_SECONDS_MAX = 20


class Site:
    """A site of its own in a temporary folder, or in a directory that stays, and one warm connection to it."""

    def __init__(self, workers=os.cpu_count(), options=(), directory=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-bench-"))
        self.directory = directory or self.folder / "site"
        self.environment = dict(os.environ, HOME=str(self.folder), XDG_DATA_HOME=str(self.folder / "data"),
                                XDG_CONFIG_HOME=str(self.folder / "config"), NO_COLOR="1")
        self.log = open(self.folder / "log", "wb")
        self.workers = workers
        self.options = options
        self._start("127.0.0.1:0")

    def _start(self, address, *options):
        self.process = subprocess.Popen(
            [LODE, "site", "--directory", self.directory, "--address", address, "--workers", str(self.workers), *self.options, *options],
            stdout=self.log, stderr=self.log, env=self.environment)
        self.where = self._await_start()
        self.token = (self.directory / "admin.token").read_text().strip()
        self.port = int(self.where["url"].rsplit(":", 1)[1])
        self.connection = self.connect()
        if self.workers:
            self.await_that(lambda: self.get("/v1/workers")["workers"])

    def start_again(self, *options):
        """The same site at the same address, with these options more."""
        self._end()
        self._start(f"127.0.0.1:{self.port}", *options)

    def _await_start(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (self.directory / "site.json").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the site did not start:\n" + (self.folder / "log").read_text())
            time.sleep(0.01)
        return json.loads((self.directory / "site.json").read_text())

    @staticmethod
    def await_that(condition):
        """Waits until the condition holds."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError("waited too long")
            time.sleep(0.01)

    def connect(self):
        """A new connection; the key is the site's own, so it is not checked here."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=600)
        connection.connect()
        return connection

    def ask(self, method, path, body=None, **headers):
        """One request over the warm connection; returns the JSON of the answer."""
        self.connection.request(method, path, body, {"Authorization": "Bearer " + self.token, **headers})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, document):
        return self.ask("POST", path, json.dumps(document).encode(), **{"Content-Type": "application/json"})

    def put_blob(self, path):
        """Uploads a file as a blob and returns its digest."""
        content = pathlib.Path(path).read_bytes()
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.ask("PUT", "/v1/blobs/" + digest, content)
        return digest

    def run_job(self, **document):
        """Submits a job, waits for its end, and returns it; a job that fails is an error."""
        job = self.post("/v1/jobs?wait=60", document)
        while job["state"] in ("waiting", "running"):
            job = self.get(f"/v1/jobs/{job['id']}?wait=60")
        if job["state"] != "succeeded":
            raise RuntimeError(f"job {job['id']} {job['state']}: {job['message']}")
        return job

    def resident_mib(self, of=None, what="VmRSS"):
        """Resident memory of the site's process, or of the first of its descendants whose command line has the word `of`: all of it, or RssAnon, what is
        its own, or RssFile, what it has mapped of files."""
        pid = self.process.pid
        if of:
            listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
            pid = next(int(line.split()[0]) for line in listing.splitlines()
                       if of in line.split() and str(self.directory) in line)
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(what + ":"))

    def _end(self):
        self.connection.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def stop(self):
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def site(**options):
    """A site for the length of a `with` block."""
    running = Site(**options)
    try:
        yield running
    finally:
        running.stop()


def program(name):
    """The path of a built program of bench/."""
    return str(BUILD / "bench" / name)


def command_rate(seconds, processes, *command):
    """How often a plain C posix_spawn loop runs the command in a second, over so many processes."""
    done = subprocess.run([program("spawn_floor"), str(seconds), str(processes), *command], capture_output=True, text=True,
                          check=True)
    return float(done.stdout.split()[0])


def timed(function):
    """Seconds that a call took, and what it returned."""
    began = time.monotonic()
    result = function()
    return time.monotonic() - began, result


def line(name, figure, value, floor_name, floor_value, ratios, **more):
    """One benchmark's line: its figure, the floor or peer of the same rounds, and the median of the rounds' ratios."""
    return {"name": name, figure: round(value, 3), floor_name: round(floor_value, 3),
            "ratio": round(statistics.median(ratios), 3), "runs": len(ratios), **more}
