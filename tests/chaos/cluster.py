"""The victims of a chaos run: one site and some workers, each a real process on a machine, a disk and with a clock of its own.

A machine is a network namespace, a disk a small tmpfs, a clock a file that libfaketime reads at each look at the time of the day. Clocks that only
measure time (CLOCK_MONOTONIC) stay right, and so do the kernel's time stamps of files: that is what a jump of a real machine's clock is like for one who
works with files of another machine, and a harder case than if both jumped. What this machine does not allow is named in `missing`.
"""

import contextlib
import http.client
import json
import math
import os
import pathlib
import signal
import ssl
import subprocess
import time

from conftest import Lode, Site, _contains, kill_all, processes_of
from networks import Network

LIBFAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
WORKER_DISK_BYTES = 48 << 20
SITE_DISK_BYTES = 96 << 20
SITE_DISK_BYTES_A_TASK = 8 << 10
RESTART_SECONDS = 0.5  # What a supervisor waits before it starts again what has ended by itself.
FILL_STEP_BYTES = 1 << 20


class Disk:
    """A small file system of its own at `place`, which can be filled and freed."""

    def __init__(self, place, size):
        self.place = place
        place.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "lode-chaos", str(place)], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(done.stderr.strip().split("\n")[0])
        self.is_full = False
        self.freed_at = -math.inf

    def fill(self):
        """Takes what is free, to the last byte; again and again while it is to be full, as those who live there free some."""
        self.is_full = True
        with open(self.place / "fill", "ab", buffering=0) as fill:
            step = FILL_STEP_BYTES
            while step >= 1:
                try:
                    fill.write(bytes(step))
                except OSError:
                    step //= 16

    def free(self):
        self.is_full = False
        self.freed_at = time.monotonic()
        (self.place / "fill").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", str(self.place)], check=False, capture_output=True)


class Clock:
    """The time of the day as one machine has it."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, offset_seconds):
        """The clock jumps: it is off by that from now on."""
        self.offset_seconds = offset_seconds
        aside = self.path.with_suffix(".new")
        aside.write_text(f"{offset_seconds:+d}\n")
        aside.replace(self.path)

    def environment(self):
        return {
            "LD_PRELOAD": str(LIBFAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_RESET": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }


class Machine:
    """Where one program runs: its place on the network, disk and clock, each None where this machine allows none."""

    def __init__(self, name, folder, network, disk_bytes, missing):
        self.name = name
        self.folder = folder / name
        self.node = network.node(name) if network else None
        self.disk = self.clock = None
        try:
            self.disk = Disk(self.folder / "disk", disk_bytes)
        except OSError as error:
            missing.setdefault("disk", f"no disks of a fixed size can be mounted: {error}")
            (self.folder / "disk").mkdir(parents=True, exist_ok=True)
        if LIBFAKETIME:
            self.clock = Clock(self.folder / "clock")
        else:
            missing["clock"] = "libfaketime is not installed: ./dev setup check"
        self.user = Lode(folder, self.folder / "home")
        self.user.prefix = self.node.prefix if self.node else []
        self.environment = self.clock.environment() if self.clock else {}

    def inside(self):
        return self.node.inside() if self.node else contextlib.nullcontext()

    def close(self):
        if self.disk:
            self.disk.close()


class Supervised:
    """A program that is started again when it has ended, as systemd would do it. `log` is what it says."""

    def __init__(self, machine, note):
        self.machine = machine
        self.note = note
        self.process = None
        self.is_wanted = False
        self.launched_at = 0
        self.restart_at = 0
        self.crashes = []  # What no fault explains.
        self.log_path = machine.folder / "log"

    def words(self):
        """The command."""
        raise NotImplementedError

    def launch(self):
        """Starts it, without waiting for it."""
        self.is_wanted = True
        self.launched_at = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = self.machine.user.start(
                *self.words(), stdout=log, stderr=log, environment=self.machine.environment, start_new_session=True)

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def kill(self):
        self.is_wanted = False
        self.signal(signal.SIGKILL)
        self.process.wait()

    def tend(self, now):
        """Starts it again if it has ended by itself. A full disk explains that; a crash is never explained."""
        if not self.is_wanted:
            return
        if self.restart_at and now >= self.restart_at:
            self.restart_at = 0
            self.launch()
        elif not self.restart_at and self.process.poll() is not None:
            code = self.process.returncode
            disk = self.machine.disk
            is_excused = code > 0 and disk and (disk.is_full or disk.freed_at > self.launched_at)
            self.note(f"{self.machine.name} has ended by itself with {code}{' on a full disk' if is_excused else ''}")
            if not is_excused:
                self.crashes.append(f"{self.machine.name} ended by itself with {code}")
            self.restart_at = now + RESTART_SECONDS

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class ChaosSite(Supervised):
    """The site, and calls to it: `call` is one request as a person makes it, `get` one of many over a connection that stays."""

    def __init__(self, machine, note):
        super().__init__(machine, note)
        self.directory = machine.folder / "disk" / "site"
        self.site = Site(machine.user, self.directory, ["--workers", "0", "--name", "site"])
        self.site.log_path = self.log_path
        self.site.address = f"{machine.node.address}:0" if machine.node else "127.0.0.1:0"
        self.connection = None

    def words(self):
        return ["site", "--directory", self.directory, "--address", self.site.address, *self.site.options]

    def start(self):
        """Starts it for the first time and waits until it listens; the address stays."""
        self.site.start(self.machine.environment)
        self.process = self.site.process
        self.is_wanted = True
        self.launched_at = time.monotonic()
        self.token = self.site.token  # Read now: the disk may be full of surprises later.

    def call(self, method, path, body=None):
        with self.machine.inside():
            return self.site.api(method, path, body, token=self.token)

    def get(self, path, seconds=60):
        """(code, body) of a GET; the connection stays. OSError or HTTPException when the site is not there."""
        if self.connection is None:
            self.connection = self.connect(seconds)
        try:
            self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def connect(self, seconds=60):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        host, port = self.site.address.split(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=seconds, context=context)
        with self.machine.inside():
            connection.connect()
        return connection

    def read(self, path):
        code, body = self.get(path)
        if code != 200:
            raise RuntimeError(f"GET {path} was answered {code}: {body[:500]!r}")
        return body

    def json(self, path):
        return json.loads(self.read(path))


class ChaosWorker(Supervised):
    """One worker with some slots."""

    def __init__(self, machine, note, site, slots):
        super().__init__(machine, note)
        self.site = site
        self.slots = slots

    def words(self):
        site = self.site.directory
        return ["worker", "--site-file", self.machine.folder / "site.json", "--token-file", site / "worker.token", "--directory", self.machine.folder / "disk" / "worker",
                "--name", self.machine.name, "--cpus", self.slots]

    def runners(self):
        """The process ids of the task runners at work for it, in order."""
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "lode-runner\n":
                    found.append(pid)
                for thread in os.listdir(f"/proc/{pid}/task"):
                    waiting += map(int, pathlib.Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
        return sorted(found)


class Cluster:
    """A site and its workers. `missing` says by lane why faults of it cannot be had on this machine."""

    def __init__(self, folder, workers, slots, tasks, note):
        self.folder = folder
        self.missing = {}
        self.network = None
        self.machines = []
        try:
            self.network = Network()
        except OSError as error:
            self.missing["network"] = f"no network namespaces: {error}"
        self.site = ChaosSite(self._machine("site", SITE_DISK_BYTES + tasks * SITE_DISK_BYTES_A_TASK), note)
        self.workers = {}
        for number in range(1, workers + 1):
            machine = self._machine(f"worker-{number}", WORKER_DISK_BYTES)
            self.workers[number] = ChaosWorker(machine, note, self.site, slots)

    def _machine(self, name, disk_bytes):
        self.machines.append(Machine(name, self.folder, self.network, disk_bytes, self.missing))
        return self.machines[-1]

    def start(self):
        self.site.start()
        for worker in self.workers.values():
            # A worker elsewhere knows the site from a file of its own.
            (worker.machine.folder / "site.json").write_bytes((self.site.directory / "site.json").read_bytes())
            worker.launch()

    def victim(self, fault):
        return self.site if fault.worker is None else self.workers[fault.worker]

    def tend(self):
        """What has to be looked after all the time: programs that have ended, disks that are to be full."""
        now = time.monotonic()
        for program in (self.site, *self.workers.values()):
            program.tend(now)
            if program.machine.disk and program.machine.disk.is_full:
                program.machine.disk.fill()

    def stop(self):
        """Ends all gracefully, workers first; returns what went wrong."""
        wrong = []
        for program in (*self.workers.values(), self.site):
            program.is_wanted = False
            program.signal(signal.SIGTERM)
            try:
                code = program.process.wait(60)
                if code != 0:
                    wrong.append(f"{program.machine.name} ended with {code} when it was asked to")
            except subprocess.TimeoutExpired:
                wrong.append(f"{program.machine.name} did not end in 60 s when it was asked to")
        left = [pid for pid in processes_of(self.folder) if not _contains(pid, "stat", b") Z ")]
        if left:
            wrong.append(f"processes are left: {left}")
        return wrong

    def close(self):
        """Removes all of it but the logs."""
        kill_all(self.folder)
        if self.network:
            self.network.close()
        for machine in self.machines:
            machine.close()
