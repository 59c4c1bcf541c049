"""Very many sites and one hub: all of them return in the same second, with push and with polls, while others resolve.

The sites are played by one program (peers_load), each with a key, a log and an address of its own; the hub is a real `lode site --mirror`.
LODE_BENCH_PEERS sets how many there are.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import resolve
from measure import line, program, site

PEERS = int(os.environ.get("LODE_BENCH_PEERS", 10_000))
ENTRIES = 10
IDS = 10_000
PROBES = 8
PROBE_RATE = 400
HEARTBEAT_SECONDS = 60
CURRENT_SECONDS_MAX = 600


class Players:
    """The program that plays the sites."""

    def __init__(self, port):
        self.process = subprocess.Popen([program("peers_load"), str(port), str(PEERS), str(ENTRIES)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def do(self, command):
        self.tell(command)
        return self.answer()

    def end(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def probe(hub, figures):
    """Resolves at a fixed rate through connections that are there before what happens meanwhile."""
    process = subprocess.Popen([program("resolve_load"), str(hub.port), str(PROBES), "3600", str(PROBE_RATE), str(IDS), "1", "1"],
                               stdout=subprocess.PIPE)
    time.sleep(1)
    try:
        yield
    finally:
        process.terminate()
        figures.update(json.loads(process.communicate()[0]))


def positions(hub):
    """The serials of the hub's copies of the played sites' logs."""
    cursor, serials = "", {}
    hub.connection.close()  # The hub ends one on which nothing is said for two minutes, and the sites may have taken longer.
    while True:
        hub.connection.request("GET", "/v1/federation/changes?wait=0&cursor=" + cursor)
        lines = hub.connection.getresponse().read().decode().splitlines()
        for text in lines[1:]:
            change = json.loads(text)
            if change["statement"]["name"].startswith("played-"):
                serials[change["statement"]["site"]] = change["serial"]
        if len(lines) < 3:  # The cursor, and the hub itself.
            return serials
        cursor = json.loads(lines[0])["cursor"]


def await_current(hub, players, serial, began):
    """Seconds from `began` until the hub has all of all logs."""
    while True:
        serials = positions(hub)
        if len(serials) == PEERS and all(each >= serial for each in serials.values()):
            return time.monotonic() - began
        if time.monotonic() - began > CURRENT_SECONDS_MAX:
            raise RuntimeError(f"{sum(each >= serial for each in serials.values())} of {PEERS} logs are current")
        players.do("watch 2")


def peak_mib(hub):
    status = pathlib.Path(f"/proc/{hub.process.pid}/status").read_text()
    return round(next(int(text.split()[1]) / 1024 for text in status.splitlines() if text.startswith("VmHWM")), 1)


def first(hub):
    """In life the players run on other machines, and take nothing from the hub's processors."""
    for task in pathlib.Path(f"/proc/{hub.process.pid}/task").iterdir():
        with contextlib.suppress(PermissionError):
            niceness = os.getpriority(os.PRIO_PROCESS, int(task.name))
            os.setpriority(os.PRIO_PROCESS, int(task.name), niceness - 10)


def result(name, seconds, figures, calm, **more):
    return line(name, "median_ms", figures["p99_us"] / 1000, "floor_ms", calm["p99_us"] / 1000,
                [figures["p99_us"] / calm["p99_us"]], floor="the same percentile before", target_ms=20, p50_ms=figures["p50_us"] / 1000,
                p999_ms=figures["p999_us"] / 1000, max_ms=figures["max_us"] / 1000, sites=PEERS, current_seconds=round(seconds, 1),
                target_current_seconds=120, **more)


def measure(hub):
    before_mib = hub.resident_mib()
    first(hub)
    players = Players(hub.port)
    try:
        calm, storm, polls, round_ = {}, {}, {}, {}
        with probe(hub, calm):
            time.sleep(5)
        began = time.monotonic()
        with probe(hub, storm):
            said = players.do("announce push")
            seconds = await_current(hub, players, ENTRIES, began)
        yield result("peers_push", seconds, storm, calm, last_answer_seconds=said["seconds"], tried_again=said["tried_again"],
                     resident_mib=round(hub.resident_mib(), 1), peak_mib=peak_mib(hub), before_mib=round(before_mib, 1))
        said = players.do("announce poll")
        began = time.monotonic()
        with probe(hub, polls):
            sent = players.do("grow")
            seconds = await_current(hub, players, ENTRIES + 1, began)
        yield result("peers_poll", seconds, polls, calm, announced_seconds=said["seconds"], polls_per_second=sent["polls_per_second"],
                     connections_most=sent["open_most"], resident_mib=round(hub.resident_mib(), 1), peak_mib=peak_mib(hub))
        cpu = hub_cpu_seconds(hub)
        with probe(hub, round_):
            said = players.do(f"watch {HEARTBEAT_SECONDS}")
        cpu = hub_cpu_seconds(hub) - cpu
        yield result("peers_poll_idle", 0, round_, calm, polls_per_second=said["polls_per_second"],
                     connections_most=said["open_most"], hub_cpu_share=round(cpu / HEARTBEAT_SECONDS, 3),
                     resident_mib=round(hub.resident_mib(), 1), peak_mib=peak_mib(hub))
    finally:
        players.end()


def hub_cpu_seconds(hub):
    fields = pathlib.Path(f"/proc/{hub.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_peers():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-bench-peers-"))
    try:
        subprocess.run([program("mirror_load"), folder, "2", str(IDS), "2", "2", "logs"], check=True)
        with site(workers=0, options=("--mirror", "--join", "open", "--heartbeat", f"{HEARTBEAT_SECONDS}s")) as hub:
            for number in range(2):
                resolve.Member(folder, number, hub).push()
            yield from measure(hub)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
