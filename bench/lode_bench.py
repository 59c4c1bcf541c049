#!/usr/bin/python3
"""Lode against the floor of the machine or a peer, measured in turn in the same run.

    lode_bench.py [NAME ...] [--json]      names: tasks stream latency submit transfer hub resolve federation peers distribute

Each line is a median and a ratio to what was measured beside it; `--json` prints one object a line.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import distribute
import peers
import resolve
import transfer
from measure import LODE, RUNNER, command_rate, line, program, site, timed

ROUNDS = 5
SETTLE_SECONDS = 3
CORES = os.cpu_count()


def measure_tasks(rounds=ROUNDS):
    """Sandboxed, durable command tasks a second, against a posix_spawn loop of the same program on the same cores."""
    rates, floors = [], []
    with site() as here:
        here.run_job(command=["/bin/true"], count=2000, cache="off")
        for _ in range(rounds):
            before = command_rate(2, CORES, "/bin/true")
            count = int(before * 3)
            seconds, _ = timed(lambda: here.run_job(command=["/bin/true"], count=count, environment={"ROUND": uuid.uuid4().hex}))
            floors.append((before + command_rate(2, CORES, "/bin/true")) / 2)
            rates.append(count / seconds)
    ratios = [rate / floor for rate, floor in zip(rates, floors)]
    yield line("tasks", "per_second", statistics.median(rates), "floor_per_second", statistics.median(floors), ratios,
               floor="posix_spawn loop of /bin/true over the same cores", target=0.90)


def measure_stream(rounds=ROUNDS, count=500_000):
    """Streamed items a second through a C echo program, against the same program fed by a plain pipe."""
    rates, floors = [], []
    items = "".join(f'{{"x": {i}}}\n' for i in range(count)).encode()
    with site() as here:
        path = here.folder / "items"
        path.write_bytes(items)
        echo = here.put_blob(program("stream_echo"))
        blob = here.put_blob(path)
        for _ in range(rounds):
            seconds, _ = timed(lambda: here.run_job(
                command=["./echo"], mode="stream", items=blob, environment={"ROUND": uuid.uuid4().hex},
                files=[{"name": "echo", "blob": echo, "executable": True}]))
            rates.append(count / seconds)
            with open(path, "rb") as source:
                plain, _ = timed(lambda: subprocess.run([program("stream_echo")], stdin=source, stdout=subprocess.DEVNULL,
                                                        check=True))
            floors.append(count / plain)
    ratios = [rate / floor for rate, floor in zip(rates, floors)]
    yield line("stream", "per_second", statistics.median(rates), "floor_per_second", statistics.median(floors), ratios,
               floor="the same program reading a file and writing to /dev/null, one process", target_per_second=100_000)


def after_a_pause(here):
    """Milliseconds of a small job that comes alone."""
    time.sleep(0.05)
    return 1000 * timed(lambda: here.run_job(command=["true"], cache="off"))[0]


def bubblewrap_ms():
    """The median launch of a bare bubblewrap sandbox with all namespaces, in milliseconds."""
    command = ["/usr/bin/bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
               "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all",
               "--die-with-parent", "--new-session", "--cap-drop", "ALL", "/bin/true"]
    return 1000 / command_rate(1, 1, *command)


def sandbox_ms():
    """The median life of the sandbox that a worker makes when it has none ready: start, one /bin/true, removal."""
    done = subprocess.run([program("runner_rate"), RUNNER, "1", "1", "launch"], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def measure_latency(rounds=ROUNDS, each=20):
    """One small job from submission to its end through a warm connection, as fast as they go, and after a pause; a job for
    which no sandbox can be ready; and a whole `lode run -- true`."""
    jobs, rested, colds, runs, floors, sandboxes = [], [], [], [], [], []
    with site() as here:
        command = [str(LODE), "run", "--site", here.where["url"], "--cache", "off", "--", "true"]
        subprocess.run([LODE, "login", here.where["url"], "--directory", here.directory], env=here.environment, check=True,
                       stdout=subprocess.DEVNULL)
        here.run_job(command=["true"], cache="off")
        for _ in range(rounds):
            floors.append(bubblewrap_ms())
            sandboxes.append(sandbox_ms())
            jobs.append(statistics.median(
                1000 * timed(lambda: here.run_job(command=["true"], cache="off"))[0] for _ in range(each)))
            rested.append(statistics.median(after_a_pause(here) for _ in range(each // 2)))
            colds.append(statistics.median(
                1000 * timed(lambda: here.run_job(command=["true"], cache="off", network=True))[0] for _ in range(each)))
            runs.append(statistics.median(
                1000 * timed(lambda: subprocess.run(command, env=here.environment, check=True))[0] for _ in range(each)))
    named = (("latency", jobs, {"target_beyond_ms": 2}), ("latency_rested", rested, {"target_beyond_ms": 2}),
             ("latency_cold", colds, {}), ("latency_lode_run", runs, {"target_ms": 40}))
    for name, times, targets in named:
        yield line(name, "median_ms", statistics.median(times), "floor_ms", statistics.median(floors),
                   [each_ms / bare for each_ms, bare in zip(times, floors)], floor="bwrap with all namespaces around /bin/true",
                   beyond_floor_ms=round(statistics.median(a - b for a, b in zip(times, floors)), 3),
                   own_sandbox_ms=round(statistics.median(sandboxes), 3),
                   beyond_own_sandbox_ms=round(statistics.median(a - b for a, b in zip(times, sandboxes)), 3),
                   **targets)


def measure_submit(rounds=ROUNDS, count=1_000_000):
    """Submitting a job of a million tasks, against a job of one; and what it and an idle site cost in memory."""
    large, small = [], []
    with site() as here:
        time.sleep(SETTLE_SECONDS)  # What a start needs is given back a moment later.
        idle_site = here.resident_mib()
        idle_worker = here.resident_mib("worker")
    with site(workers=0) as here:
        here.post("/v1/jobs", {"command": ["true"], "count": 1})
        before = here.resident_mib()
        for _ in range(rounds):
            for sizes, tasks in ((small, 1), (large, count)):
                document = {"command": ["true"], "count": tasks, "environment": {"ROUND": uuid.uuid4().hex}}
                sizes.append(1000 * timed(lambda: here.post("/v1/jobs", document))[0])
        growth = (here.resident_mib() - before) / rounds
    yield line("submit", "median_ms", statistics.median(large), "floor_ms", statistics.median(small),
               [a / b for a, b in zip(large, small)], floor="submitting a job of one task", target_ms=50,
               memory_growth_mib=round(growth, 3), idle_site_mib=round(idle_site, 1), idle_worker_mib=round(idle_worker, 1))


def mirror_load(sites, datasets, replicas, threads=CORES, folder=None):
    """The lines of one run of bench/mirror_load by name, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lode-hub-", dir=folder) as place:
        command = [program("mirror_load"), place, *map(str, (sites, datasets, replicas, threads))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {result["name"]: result for result in map(json.loads, done.stdout.splitlines())}


def measure_hub(rounds=3, sites=10, datasets=40_000, replicas=5):
    """Loading the signed logs of several sites into a hub, and finding all replicas of a dataset, against hashing the same logs."""
    runs = [mirror_load(sites, datasets, replicas) for _ in range(rounds)]
    rates = [run["hub_load"]["per_second"] for run in runs]
    floors = [run["hub_chain"]["per_second"] for run in runs]
    last = runs[-1]
    yield line("hub", "per_second", statistics.median(rates), "floor_per_second", statistics.median(floors),
               [rate / floor for rate, floor in zip(rates, floors)],
               floor="the logs read and chained: two SHA-256 an entry, on the same cores", target_per_second=50_000,
               cpu_us_each=round(statistics.median(1e6 * run["hub_load"]["cpu_seconds"] / run["hub_load"]["entries"] for run in runs), 1),
               own_mib=last["hub_load"]["own_mib"], index_mib=last["hub_load"]["index_mib"],
               store_mib=last["hub_load"]["store_mib"], find_cpu_us=last["hub_find_random"]["cpu_us"],
               find_median_us=statistics.median(run["hub_find_random"]["median_us"] for run in runs),
               up_to_date_commits=last["hub_up_to_date"]["commits"])


def measure_federation(rounds=ROUNDS, each=20):
    """One small job that runs at another site, from submission to its end here, against one that runs here, in turn."""
    travelled, local = [], []
    with site() as home, site() as there:
        for here, other, name in ((home, there, "there"), (there, home, "home")):
            here.start_again("--peer", f"{name}={other.where['fingerprint']}@{other.where['url']}")
        for _ in range(5):  # The link has its connections, and each site its sandboxes ready.
            home.run_job(command=["true"], cache="off", at="there")
            home.run_job(command=["true"], cache="off")
        for _ in range(rounds * each):
            travelled.append(1000 * timed(lambda: home.run_job(command=["true"], cache="off", at="there"))[0])
            local.append(1000 * timed(lambda: home.run_job(command=["true"], cache="off"))[0])
    beyond = sorted(far - near for far, near in zip(travelled, local))
    yield line("federation", "median_ms", statistics.median(travelled), "local_ms", statistics.median(local),
               [far / near for far, near in zip(travelled, local)], floor="the same job at the site where it is submitted",
               beyond_local_ms=round(statistics.median(beyond), 3), beyond_local_p90_ms=round(beyond[len(beyond) * 9 // 10], 3),
               target_beyond_ms=15)


BENCHMARKS = {"tasks": measure_tasks, "stream": measure_stream, "latency": measure_latency, "submit": measure_submit,
              "transfer": transfer.measure_transfer, "hub": measure_hub, "resolve": resolve.measure_resolve,
              "federation": measure_federation, "peers": peers.measure_peers, "distribute": distribute.measure_distribute}


def show(result):
    """One result as a line of a table."""
    unit = "per_second" if "per_second" in result else "median_ms"
    rest = "  ".join(f"{key}={value}" for key, value in result.items() if key not in ("name", unit, "ratio", "runs"))
    print(f"{result['name']:18} {result[unit]:>12} {unit:10} ratio {result['ratio']:<7} runs {result['runs']}  {rest}", flush=True)


def main():
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    names = [a for a in arguments if a != "--json"] or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            sys.exit(f"bench: no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    for name in names:
        for result in BENCHMARKS[name]():
            print(json.dumps(result), flush=True) if as_json else show(result)


main()
