"""The main story: real data, registered where it lies, analysed beside it, once; and everything that can be asked afterwards."""

import json
import os
import pathlib
import re
import sqlite3
import subprocess

from conftest import ROOT, eventually

SCRIPT = ROOT / "examples" / "coads" / "monthly_mean.py"


def newest(lode):
    return lode.json("jobs", "--limit", "1")["jobs"][0]["id"]


def test_a_monthly_mean_is_computed_beside_the_data_and_never_twice(site, lode, coads):
    lode("data", "add", "ferret:coads", coads)
    assert lode.json("resolve", "ferret:coads")["locations"][0]["entry"]["state"] == "available"
    command = ["run", "--data", "ferret:coads=coads", "--file", SCRIPT, "--count", "12", "--", "python3", "monthly_mean.py",
               "/data/coads/coads_climatology.cdf", "{index}"]
    first = lode(*command)
    lines = dict(line.split() for line in first.stdout.splitlines())
    assert len(lines) == 12
    plain = subprocess.run(["/usr/bin/python3", SCRIPT, coads / "coads_climatology.cdf"], capture_output=True, text=True, check=True)
    assert dict(line.split() for line in plain.stdout.splitlines()) == lines
    again = lode(*command)
    assert sorted(again.stdout.splitlines()) == sorted(first.stdout.splitlines())
    assert "cache" in again.stderr
    job = lode.json("job", "show", str(newest(lode)))
    assert job["tasks"]["cached"] == 12

    # Other data never hits: the same name, another content.
    os.utime(coads / "coads_climatology.cdf", ns=(0, 0))
    touched = lode(*command)
    assert sorted(touched.stdout.splitlines()) == sorted(first.stdout.splitlines())
    assert lode.json("job", "show", str(newest(lode)))["tasks"]["cached"] == 12  # The checksum is the same.
    with open(coads / "coads_climatology.cdf", "ab") as out:
        out.write(b"more")
    refused = lode(*command, status=None)
    assert refused.returncode != 0 and "coads_climatology.cdf" in refused.stderr and "verify" in refused.stderr, refused.stderr


def test_a_job_over_the_files_of_a_dataset_runs_once_a_file(site, lode, tmp_path):
    folder = tmp_path / "many"
    (folder / "deep").mkdir(parents=True)
    for i in range(20):
        (folder / ("deep" if i % 2 else ".") / f"part {i}.txt").write_text("x" * i)
    lode("data", "add", "t:many", folder)
    done = lode("run", "--over", "t:many", "--", "wc", "-c", "{file}")
    assert sorted(int(line.split()[0]) for line in done.stdout.splitlines()) == list(range(20))
    (folder / "part 0.txt").write_text("longer")
    lode("data", "verify", "t:many", "--accept-changes")
    again = lode("run", "--over", "t:many", "--", "wc", "-c", "{file}")
    assert "6 " in again.stdout
    assert lode.json("job", "show", str(newest(lode)))["tasks"]["cached"] == 19


def test_items_of_a_file_are_tasks(site, lode, tmp_path):
    items = tmp_path / "items"
    items.write_text("".join(f"word {i}\n" for i in range(30)))
    done = lode("run", "--items", items, "--", "echo", "{index}:{}")
    assert sorted(done.stdout.splitlines()) == sorted(f"{i}:word {i}" for i in range(30))


def test_streamed_items_are_answered_in_order(site, lode, tmp_path):
    items = tmp_path / "items"
    items.write_text("".join(json.dumps({"x": i}) + "\n" for i in range(20000)))
    program = tmp_path / "double.py"
    program.write_text("import sys, json\nfor line in sys.stdin:\n    print(json.dumps(json.loads(line)['x'] * 2))\n")
    done = lode("run", "--stream", "--items", items, "--file", program, "--", "python3", "double.py")
    assert done.stdout.splitlines() == [str(2 * i) for i in range(20000)]


def test_a_streamed_program_that_dies_fails_its_item_and_goes_on(site, lode, tmp_path):
    program = tmp_path / "fragile.py"
    program.write_text("import sys\nfor line in sys.stdin:\n    n = int(line)\n    if n == 37: sys.exit('no thirty-seven')\n    print(n, flush=True)\n")
    done = lode("run", "--stream", "--count", "100", "--file", program, "--", "python3", "fragile.py", status=None)
    assert done.returncode not in (0, None)
    job = lode.json("job", "show", str(newest(lode)))
    assert job["tasks"]["failed"] == 1 and job["tasks"]["succeeded"] == 99, job["tasks"]
    record = lode.json("job", "show", f"{newest(lode)}/37")
    assert record["state"] == "failed"


def test_the_record_of_a_task_has_every_input_by_digest(site, lode, coads):
    lode("data", "add", "ferret:coads", coads)
    lode("run", "--data", "ferret:coads=c", "--file", SCRIPT, "--output", "*.txt", "--env", "K=V", "--", "sh", "-c", "python3 monthly_mean.py /data/c/coads_climatology.cdf 6 | tee july.txt")
    record = lode.json("job", "show", f"{newest(lode)}/0")
    digests = {entry["name"]: entry["digest"] for entry in record["inputs"] if entry.get("digest")}
    sums = subprocess.run(["sha256sum", SCRIPT, coads / "coads_climatology.cdf"], capture_output=True, text=True, check=True).stdout
    for each in sums.split()[::2]:
        assert "sha256:" + each in digests.values(), (each, record["inputs"])
    shell = subprocess.run(["sha256sum", os.path.realpath("/bin/sh")], capture_output=True, text=True, check=True).stdout.split()[0]
    assert record["executable_digest"] == "sha256:" + shell
    assert record["owner"] and record["worker"] and record["started_at"].endswith("Z")
    assert record["cpu_seconds"] > 0 and record["peak_memory_bytes"] > 1 << 20
    assert record["outputs"][0]["path"] == "july.txt" and record["outputs"][0]["digest"].startswith("sha256:")
    assert record["environment"]["K"] == "V"
    assert record["cache"]["key"].startswith("sha256:") and record["cache"]["hit"] is False


def test_failed_tasks_are_retried_alone(site, lode, tmp_path):
    # Tasks 3 and 7 fail until the data says otherwise; a registered folder is read where it lies.
    folder = tmp_path / "gate"
    folder.mkdir()
    (folder / "open").write_text("no")
    lode("data", "add", "t:gate", folder)
    command = 'test $LODE_INDEX -ne 3 -a $LODE_INDEX -ne 7 || exit 5; echo ok'
    done = lode("run", "--count", "10", "--", "sh", "-c", command, status=5)
    assert done.stdout.count("ok") == 8
    job = newest(lode)
    assert lode.json("job", "show", str(job))["tasks"] | {} == {**lode.json("job", "show", str(job))["tasks"], "failed": 2, "succeeded": 8}
    lode("retry", str(job))
    lode("wait", str(job), status=None)
    again = lode.json("job", "show", str(job))
    assert again["tasks"]["failed"] == 2 and again["tasks"]["succeeded"] == 8
    assert lode.json("job", "show", f"{job}/3")["attempts"] == 2
    assert lode.json("job", "show", f"{job}/4")["attempts"] == 1


def test_the_list_shows_the_command_of_a_job_without_a_name(site, lode):
    lode("run", "--", "echo", "to be", "listed")
    lode("run", "--name", "named", "--", "echo", "other")
    said = lode("jobs").stdout
    assert "echo to be listed" in said and "named" in said and "echo other" not in said


def test_job_show_names_what_runs(site, lode):
    job = lode.json("submit", "--cache", "off", "--", "sleep", "60")["id"]
    worker = eventually(lambda: site.api("GET", "/v1/workers").json["workers"])[0]["name"]
    said = eventually(lambda: [line for line in lode("job", "show", job).stdout.splitlines() if line.startswith("Running:")])
    assert said[0].split(None, 1)[1] == f"{job}/0 on {worker}"
    lode("cancel", job)
    assert "Running:" not in lode("job", "show", job).stdout


def test_a_cancelled_job_says_what_did_not_run(site, lode):
    job = lode.json("submit", "--cache", "off", "--count", "500", "--", "sh", "-c", "[ {index} -lt 2 ] || sleep 600")["id"]
    eventually(lambda: lode.json("job", "show", job)["tasks"]["succeeded"] == 2, 60, "the first two tasks")
    lode("cancel", job)
    shown = lode.json("job", "show", job)
    assert shown["state"] == "cancelled" and shown["exit_code"] is None and shown["tasks"]["cancelled"] == 498, shown
    said = lode("job", "show", job).stdout
    assert "2 succeeded, 0 failed, 0 running, 0 waiting of 500; 498 cancelled\n" in said and "Exit status" not in said, said
    assert re.search(r"\bcancelled +2/500\b", lode("jobs").stdout)
    lode("wait", job, status=143)
    assert lode("retry", job).stdout == f"job {job} runs again what has failed, was cancelled or is held\n"
    again = lode.json("job", "show", job)["tasks"]
    assert again["succeeded"] == 2 and again["cancelled"] == 0 and again["waiting"] + again["running"] == 498, again
    lode("cancel", job)


def test_who_changed_a_job_is_in_the_audit_log(site, lode):
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"])
    job = lode.json("submit", "--cache", "off", "--", "sleep", "60")["id"]
    lode("cancel", job)
    lode("retry", job)
    lode("cancel", job)
    lode("cancel", job)  # Changes nothing.
    assert site.stop() == 0
    database = sqlite3.connect(site.directory / "lode.db")
    entries = database.execute("SELECT principal, action, object, reason FROM identity_audit ORDER BY id").fetchall()
    database.close()
    of_jobs = [entry for entry in entries if entry[2].endswith(f"job {job}")]
    assert [entry[2] for entry in of_jobs] == [f"{what} job {job}" for what in ("submit", "cancel", "retry", "cancel")]
    assert {entry[1] for entry in of_jobs} == {"job.submit", "job.change"}
    assert len({entry[0] for entry in of_jobs}) == 1 and all(entry[3] for entry in entries)
    assert ("local-worker", "worker.poll", "register worker 1") in [entry[:3] for entry in entries]


def test_retries_by_themselves_are_counted(site, lode):
    lode("run", "--retries", "2", "--", "sh", "-c", "exit 9", status=9)
    record = lode.json("job", "show", f"{newest(lode)}/0")
    assert record["attempts"] == 3 and len(record["failed_attempts"]) >= 2, record


def test_a_job_after_another_waits_says_why_and_runs(site, lode):
    first = lode.json("submit", "--", "sleep", "1.5")["id"]
    second = lode.json("submit", "--after", str(first), "--", "echo", "second")["id"]
    assert str(first) in lode("why", str(second)).stdout
    lode("wait", str(second))
    assert lode("logs", str(second)).stdout == "second\n"
    bad = lode.json("submit", "--cache", "off", "--", "false")["id"]
    never = lode.json("submit", "--after", str(bad), "--", "echo", "never")["id"]
    lode("wait", str(never), status=None)
    ended = lode.json("job", "show", str(never))
    assert ended["state"] == "cancelled" and str(bad) in ended["message"]


def test_why_names_what_is_too_large(site, lode):
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"])
    job = lode.json("submit", "--cpus", "64", "--", "true")["id"]
    said = lode("why", str(job)).stdout
    assert "64" in said and str(os.cpu_count()) in said, said
    lode("cancel", str(job))
    assert lode.json("job", "show", str(job))["state"] == "cancelled"


def test_logs_can_be_followed_while_a_task_runs(site, lode):
    job = lode.json("submit", "--cache", "off", "--", "sh", "-c", "echo early; echo oops >&2; sleep 2; echo late")["id"]
    following = lode.start("logs", "-f", str(job))
    assert following.stdout.readline() == "early\n"
    assert lode.json("job", "show", str(job))["state"] == "running"
    assert following.stdout.readline() == "late\n"
    assert following.wait(30) == 0


def test_logs_say_that_nothing_is_kept_of_cancelled_tasks(site, lode):
    job = lode.json("submit", "--cache", "off", "--", "sh", "-c", "echo early; sleep 600")["id"]
    eventually(lambda: lode("logs", f"{job}/0").stdout == "early\n")
    assert "not kept" not in lode("logs", f"{job}/0").stderr
    lode("cancel", str(job))
    for words in ((str(job),), (f"{job}/0",), ("-f", str(job))):
        said = lode("logs", *words)
        assert said.stdout == "" and "cancelled: what it had written is not kept" in said.stderr, (words, said)


def test_large_output_comes_back_whole(site, lode):
    done = lode("run", "--cache", "off", "--", "sh", "-c", "seq 1 300000; seq 1 5 >&2")
    assert done.stdout == "".join(f"{i}\n" for i in range(1, 300001))
    again = pathlib.Path(lode.home / "again")
    again.write_text(lode("logs", str(newest(lode))).stdout)
    assert again.read_text() == done.stdout


def test_a_cancelled_job_stops_its_processes(site, lode):
    job = lode.json("submit", "--cache", "off", "--count", "4", "--", "sleep", "987")["id"]

    def sleepers():
        done = subprocess.run(["pgrep", "-fx", "sleep 987"], capture_output=True, text=True, check=False)
        return done.stdout.split()

    eventually(sleepers)
    lode("cancel", str(job))
    eventually(lambda: not sleepers(), 15, "the end of the cancelled tasks")
    assert lode.json("job", "show", str(job))["state"] == "cancelled"
