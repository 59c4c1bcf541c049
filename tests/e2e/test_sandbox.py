"""What a task can reach, and what it cannot; and the limits that end it."""

import json
import os
import pathlib
import re
import subprocess
import time

import pytest
from conftest import PROGRAMS, Site, eventually


def run(site, *command, **document):
    """A finished job of one task: its record and its standard output."""
    answer = site.api("POST", "/v1/jobs?wait=60", {"command": list(command), "cache": "off", **document})
    assert answer.code == 201, answer
    job = answer.json["id"]
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}?wait=10").json["state"] in ("succeeded", "failed"), 60)
    record = site.api("GET", f"/v1/jobs/{job}/tasks/0").json
    return record, site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body.decode()


def shell(site, script, **document):
    return run(site, "sh", "-c", script, **document)


def test_a_task_sees_neither_homes_nor_the_site(site, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    record, out = shell(site, f"cat {secret}; cat {site.directory}/admin.token; ls /root /home /work /tmp; true")
    assert "secret" not in out and "lode_" not in out, out
    assert record["state"] == "succeeded"


def test_a_task_has_no_capabilities_and_its_own_processes(site):
    _, out = shell(site, "grep -E 'Cap(Eff|Prm|Bnd)' /proc/self/status; ls /proc | grep -c '^[0-9]'")
    lines = out.split()
    assert lines[1::2][:3] and all(set(value) == {"0"} for value in lines[1:6:2]), out
    assert int(lines[-1]) < 10, out


def test_a_task_has_no_network_unless_it_asks(site):
    _, out = shell(site, "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '")
    assert out.split() == ["lo"], out
    inside = os.path.basename(next(p for p in pathlib.Path("/sys/class/net").iterdir() if p.name != "lo")) \
        if len(list(pathlib.Path("/sys/class/net").iterdir())) > 1 else None
    _, out = shell(site, "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '", network=True)
    assert inside is None or inside in out.split(), out


DESCRIPTORS = """
import os
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        print(fd, os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        pass  # That of the listing itself.
"""


@pytest.mark.parametrize("sandbox", ("bubblewrap", "none"))
def test_a_task_has_no_descriptor_but_its_own_three(make_site, lode, tmp_path, sandbox):
    """With one of its worker's connections to the site it could connect anew, to anywhere: a socket stays in the network that it was made in."""
    site = make_site(options=("--workers", "0"))
    (tmp_path / "fds.py").write_text(DESCRIPTORS)
    left = os.open("/dev/null", os.O_RDONLY)
    files = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "pass_fds": (left,)}  # What whoever started the worker left open.
    worker = lode.start("worker", "--site-file", site.directory / "site.json", "--token-file", site.directory / "worker.token",
                        "--directory", tmp_path / "worker", "--sandbox", sandbox, **files)
    os.close(left)
    try:
        for _ in range(3):  # Not only in sandboxes that were ready before the first connection.
            out = lode("run", "--cache", "off", "--file", tmp_path / "fds.py", "--", "python3", "fds.py").stdout
            assert sorted(line.split()[0] for line in out.splitlines()) == ["0", "1", "2"], out
    finally:
        worker.terminate()
        worker.wait(60)


def test_data_is_read_only_and_files_of_the_job_lie_in_the_working_folder(site, lode, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("content")
    script = tmp_path / "look.sh"
    script.write_text("#!/bin/sh\npwd; cat /data/d/a; echo x > /data/d/a || echo refused\n")
    script.chmod(0o755)
    lode("data", "add", "t:readonly", folder)
    done = lode("run", "--data", "t:readonly=d", "--file", script, "--", "./look.sh")
    assert done.stdout == "/work\ncontentrefused\n"
    assert (folder / "a").read_text() == "content"


def test_nothing_of_one_task_is_left_for_the_next(site):
    script = "ls /work /tmp | grep -v ':' ; echo x > /work/left; echo x > /tmp/left; mkdir -p d/e; setsid sleep 1000 & ps -e 2>/dev/null | grep -c sleep; true"
    answer = site.api("POST", "/v1/jobs?wait=60", {"command": ["sh", "-c", script], "count": 8, "cache": "off"})
    job = answer.json["id"]
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}?wait=10").json["state"] == "succeeded", 60)
    for index in range(8):
        out = site.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body.decode().split()
        assert "left" not in out and "d" not in out, (index, out)


@pytest.mark.parametrize("what", ["walltime", "memory", "disk", "print"])
def test_a_limit_that_is_passed_is_named_with_its_peak(site, what):
    if what == "walltime":
        record, _ = run(site, "sleep", "60", walltime_seconds=1)
        words = r"ran (1\.\d) s, the limit is 1\.0 s of walltime"
    elif what == "memory":
        record, _ = run(site, "/usr/bin/python3", "-c", "x = bytearray(400 << 20); print(len(x))", memory_bytes=100 << 20)
        words = r"the limit is 100\.0 MiB of memory, the peak was ((?:9\d|100)\.\d) MiB"
    else:
        script = "head -c 100000000 /dev/zero > big; sleep 3" if what == "disk" else "yes; sleep 3"
        record, _ = run(site, "sh", "-c", script, disk_bytes=20 << 20)
        words = r"the limit is 20\.0 MiB of disk, at least [2-9]\d\.\d MiB were used"
    assert record["state"] == "failed", record
    assert record["outcome"] == ("disk" if what == "print" else what), record
    assert re.search(words, record["message"]), record["message"]


def test_a_task_that_starts_processes_without_end_meets_a_limit_of_its_own(site):
    script = "import threading\nthreading.stack_size(65536)\nstop = threading.Event()\n"
    script += "try:\n    for i in range(100000):\n        threading.Thread(target=stop.wait, daemon=True).start()\n"
    script += "except RuntimeError:\n    print(i, flush=True)\n    raise SystemExit(7)\n"
    record, out = run(site, "/usr/bin/python3", "-c", script, memory_bytes=2 << 30)
    assert record["state"] == "failed" and int(out) < 4096, (record, out)
    if "pids" in site.api("GET", "/v1/status").json["sandbox"]["enforced"]:
        assert record["outcome"] == "pids" and "the limit is 4096 processes and threads" in record["message"], record
    # The site and its other tasks know nothing of it.
    assert run(site, "true")[0]["state"] == "succeeded"


def test_the_exit_status_and_signals_of_a_command_are_told(site, lode):
    assert lode("run", "--", "sh", "-c", "exit 42", status=42).stdout == ""
    record, _ = run(site, "sh", "-c", "kill -SEGV $$")
    assert (record["outcome"], record["signal"]) == ("signal", 11), record
    missing, _ = run(site, "no-such-program")
    assert missing["state"] == "failed" and "no-such-program" in missing["message"], missing


def test_outputs_come_back_and_links_do_not_lead_out(site, lode, tmp_path):
    script = "mkdir d; echo one > a.txt; echo two > d/b.txt; ln -s /etc/passwd p.txt; ln -s ../../../../etc/passwd d/q.txt; mkfifo f.txt"
    job = lode.json("submit", "--output", "*.txt", "--output", "d/*.txt", "--", "sh", "-c", script)["id"]
    lode("wait", str(job))
    into = tmp_path / "out"
    lode("outputs", str(job), into)
    found = sorted(str(p.relative_to(into)) for p in into.rglob("*") if p.is_file())
    assert [name.split("/", 1)[1] if name.startswith("0/") else name for name in found] == ["a.txt", "d/b.txt"], found


def test_status_says_what_is_not_enforced(site, lode):
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"])
    sandbox = lode.json("status")["sandbox"]
    assert sandbox["kind"] == "bubblewrap"
    assert set(sandbox["enforced"]) | set(sandbox["not_enforced"]) >= {"memory", "pids", "cpu", "walltime", "disk"}, sandbox
    assert "sandbox" in lode("status").stdout.lower()
    # A worker from elsewhere, which sees other files, says nothing of this machine; that it has no sandbox is said as well.
    elsewhere = {"name": "elsewhere", "cpus": 1, "memory_bytes": 1 << 30, "disk_bytes": 1 << 30, "version": "0", "sandbox": {"kind": "none", "enforced": []}}
    try:
        for _ in range(3):
            number = site.api("POST", "/v1/workers", elsewhere).json["worker"]
        status = lode.json("status")
        assert status["sandbox"] == sandbox and status["workers_without_sandbox"] == 3
        said = lode("status").stdout
        assert "Sandbox:      bubblewrap\n" in said and f"NONE:       at 3 of {status['workers']} workers" in said, said
    finally:
        for worker in range(number - 2, number + 1):
            site.api("POST", f"/v1/workers/{worker}/poll", {"leaving": True, "gone": True})


@pytest.fixture
def make_bare_site(lode, tmp_path):
    """make_bare_site("--sandbox", "none"): a site on a machine without bubblewrap, or without what else is hidden; returns its answers to requests."""
    started = []

    def make(*options, hide="mount --bind /dev/null /usr/bin/bwrap"):
        directory = tmp_path / f"bare-{len(started)}"
        command = ["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh", PROGRAMS / "lode", "site", "--directory", directory,
                   "--address", "127.0.0.1:0", *options]
        started.append(subprocess.Popen(command, env=lode.environment, stdout=subprocess.DEVNULL))
        said = directory / "site.json"
        eventually(said.exists, 20, "the start of the site")
        site = Site(lode, directory)
        site.url = json.loads(said.read_text())["url"]
        return site

    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("cannot make a mount namespace here: " + probe.stderr.decode())
    yield make
    for process in started:
        process.terminate()
        process.wait(60)


def test_without_bubblewrap_a_site_refuses_to_run_jobs_unless_told(make_bare_site, lode):
    refusing = make_bare_site()
    job = refusing.api("POST", "/v1/jobs", {"command": ["true"]}).json["id"]

    def reason():
        why = refusing.api("GET", f"/v1/jobs/{job}/why").json
        return why if "bubblewrap" in why["why"] else None

    assert "--sandbox none" in eventually(reason, 20)["change"]
    assert refusing.api("GET", "/v1/workers").json["workers"] == []
    told = make_bare_site("--sandbox", "none")
    answer = told.api("POST", "/v1/jobs?wait=60", {"command": ["echo", "bare"], "cache": "off"})
    assert answer.json["state"] == "succeeded", answer
    assert told.api("GET", "/v1/status").json["sandbox"]["kind"] == "none"
    lode("login", "--directory", told.directory)
    said = lode("status", "--site", told.url).stdout
    assert re.search(r"unenforced: +.*files.*network.*users", said), said


def test_without_control_groups_memory_is_kept_and_the_rest_is_said(make_bare_site, lode):
    site = make_bare_site(hide="mount -t tmpfs none /sys/fs/cgroup")
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"])
    sandbox = site.api("GET", "/v1/status").json["sandbox"]
    assert sandbox["kind"] == "bubblewrap" and {"walltime", "disk", "memory"} <= set(sandbox["enforced"]), sandbox
    assert {"pids", "cpu"} == set(sandbox["not_enforced"]), sandbox
    lode("login", "--directory", site.directory)
    said = lode("status", "--site", site.url).stdout
    assert re.search(r"unenforced: +pids, cpu", said), said
    script = "try:\n    x = bytearray(4 << 30)\nexcept MemoryError:\n    print('refused')\n"
    record, out = run(site, "/usr/bin/python3", "-c", script, memory_bytes=100 << 20)
    assert record["state"] == "succeeded" and out == "refused\n", (record, out)


@pytest.mark.parametrize("mode", ["one", "two", "raced"])
def test_without_control_groups_a_task_over_its_memory_ends_with_limit_and_peak(make_bare_site, mode):
    """One process holds too much, two hold it together, or one grows fast."""
    site = make_bare_site(hide="mount -t tmpfs none /sys/fs/cgroup")
    hold = "import time; held = bytearray(b'x') * ({} << 20); time.sleep(60)"
    command = {
        "one": f'exec python3 -c "{hold.format(150)}"',
        "two": f'python3 -c "{hold.format(70)}" & exec python3 -c "{hold.format(70)}"',
        "raced": 'exec python3 -c "held = [bytearray(b\'x\') * (1 << 20) for _ in range(3000)]"',
    }[mode]
    begun = time.monotonic()
    record, _ = shell(site, command, memory_bytes=100 << 20)
    assert time.monotonic() - begun < 50  # It did not sleep to its end.
    assert record["state"] == "failed" and record["outcome"] == "memory", record
    found = re.search(r"limit is 100\.0 MiB of memory, the peak was ([0-9.]+) MiB", record["message"])
    assert found and 100 < float(found[1]) < 1200, record
    assert record["peak_memory_bytes"] > 100 << 20


def test_without_control_groups_files_that_a_task_maps_are_not_its_memory(make_bare_site):
    site = make_bare_site(hide="mount -t tmpfs none /sys/fs/cgroup")
    script = "import mmap\nopen('big', 'wb').truncate(300 << 20)\n"
    script += "with open('big', 'rb') as big:\n    seen = mmap.mmap(big.fileno(), 0, prot=mmap.PROT_READ)\n"
    script += "    print(sum(seen[i] for i in range(0, len(seen), 4096)))\nraise SystemExit(7)\n"
    record, out = run(site, "/usr/bin/python3", "-c", script, memory_bytes=100 << 20)
    assert out == "0\n" and record["outcome"] == "exited" and record["peak_memory_bytes"] > 300 << 20, record


def test_without_control_groups_memory_that_processes_share_counts_once(make_bare_site):
    """Children of a fork hold what their parent holds until they write to it."""
    site = make_bare_site(hide="mount -t tmpfs none /sys/fs/cgroup")
    script = "import os, time\nheld = bytearray(b'x') * (60 << 20)\n"
    script += "if all(os.fork() for _ in range(4)):\n    [os.wait() for _ in range(4)]\nelse:\n    time.sleep(1)\n    os._exit(0)\n"
    record, _ = run(site, "/usr/bin/python3", "-c", script, memory_bytes=130 << 20)
    assert record["state"] == "succeeded", record
    assert 60 << 20 < record["peak_memory_bytes"] < 130 << 20, record


def test_without_control_groups_a_streamed_program_over_its_memory_fails_its_item(make_bare_site):
    site = make_bare_site(hide="mount -t tmpfs none /sys/fs/cgroup")
    program = "import sys, time\n"
    program += "for line in sys.stdin:\n"
    program += "    if line.strip() == '2':\n        held = bytearray(b'x') * (150 << 20)\n        time.sleep(60)\n"
    program += "    print(line.strip(), flush=True)\n"
    document = {"command": ["python3", "-c", program], "mode": "stream", "count": 4, "cache": "off", "memory_bytes": 100 << 20}
    answer = site.api("POST", "/v1/jobs?wait=50", document)
    assert answer.json["state"] == "failed" and answer.json["tasks"]["failed"] == 1, answer.json
    record = site.api("GET", f"/v1/jobs/{answer.json['id']}/tasks/2").json
    assert record["outcome"] == "memory", record
    assert re.search(r"limit is 100\.0 MiB of memory, the peak was 1\d\d\.\d MiB", record["message"]), record
