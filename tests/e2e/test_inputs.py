"""Workers that do not see the site's files: what they prove, what they fetch, what they keep, and how they say what is wrong."""

import hashlib
import os
import shutil
import signal
import subprocess

import pytest
from conftest import eventually

MIB = 1 << 20


def content(size, seed):
    """Bytes that are the same in every run and do not repeat."""
    return hashlib.shake_256(seed.encode()).digest(size)


class Blind:
    """A worker in a mount namespace of its own, where `hidden` is another folder: empty, or a copy made by `prepare` (a shell command; $HERE is it)."""

    def __init__(self, site, lode, folder, name, hidden, options=(), prepare=""):
        self.site, self.lode, self.name = site, lode, name
        self.directory = folder / name
        self.log_path = folder / f"{name}.log"
        self.options = [*options]
        self.prepare = prepare
        self.hidden = hidden
        self.process = None

    @property
    def prefix(self):
        script = f'mount -t tmpfs none "$1" && HERE="$1" && shift && {self.prepare or ":"} && exec "$@"'
        return ["unshare", "-m", "sh", "-c", script, "hide", str(self.hidden)]

    def start(self):
        token = self.directory.parent / f"{self.name}.token"
        if not token.exists():
            made = self.site.api("POST", "/v1/tokens", {"principal": self.name, "role": "worker"}).json
            token.write_text(made["token"] + "\n")
        words = ["worker", "--site", self.site.url, "--pin", self.site.fingerprint, "--token-file", token, "--name", self.name,
                 "--directory", self.directory, "--cpus", "2", *self.options]
        before = self.lode.prefix
        self.lode.prefix = self.prefix
        try:
            with open(self.log_path, "ab") as log:
                self.process = self.lode.start(*words, stdout=log, stderr=log)
        finally:
            self.lode.prefix = before
        return self

    @property
    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def cached(self):
        """Paths of the whole files in its cache."""
        return [path for path in (self.directory / "cache").glob("*") if path.is_file()]

    def parts(self):
        return sum(path.stat().st_size for path in (self.directory / "cache" / "parts").glob("*"))


@pytest.fixture
def site(make_site):
    return make_site(options=("--workers", "0"))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def blind(site, lode, tmp_path, data):
    """blind("desk", options...): starts a worker that does not see `data`."""
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    workers = []

    def start(name="desk", *options, **settings):
        workers.append(Blind(site, lode, tmp_path, name, settings.pop("hidden", data), options, **settings))
        return workers[-1].start()

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.terminate()
    for worker in workers:
        worker.process.wait(60)


def sent(site):
    return site.api("GET", "/v1/status").json["inputs"]


def add(lode, data, identifier="t:data", **files):
    for name, text in files.items():
        (data / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    lode("data", "add", identifier, data)


def why(site, job):
    return site.api("GET", f"/v1/jobs/{job}/why").json


def submit(lode, *words):
    return int(lode("submit", *words).stdout.split()[-1])


def test_what_a_worker_does_not_see_it_fetches_once_and_keeps(site, lode, data, blind):
    big = content(3 * MIB, "big")
    (data / "below").mkdir()
    (data / "below" / "deep.txt").write_text("deep\n")
    add(lode, data, **{"a.txt": "hello\n", "big": big})
    worker = blind()
    script = "cat /data/data/a.txt /data/data/below/deep.txt; sha256sum < /data/data/big; rm -f /data/data/a.txt && echo removed"
    ran = lode("run", "--data", "t:data", "--", "sh", "-c", script, status=1)
    assert ran.stdout == f"hello\ndeep\n{hashlib.sha256(big).hexdigest()}  -\n" and "Read-only file system" in ran.stderr
    size = len(big) + 6 + 5
    assert sent(site) == {"files_sent": 3, "bytes_sent": size}
    # For the next job, and in the next life of the worker, it is there.
    assert lode("run", "--data", "t:data", "--", "cat", "/data/data/a.txt").stdout == "hello\n"
    worker.stop()
    assert len(worker.cached()) == 3 and not (worker.directory / "jobs").exists()
    worker.start()
    assert lode("run", "--data", "t:data", "--", "wc", "-c", "/data/data/big").stdout == f"{len(big)} /data/data/big\n"
    assert sent(site)["bytes_sent"] == size
    # The time of a file is that of the registered one.
    modified = int((data / "big").stat().st_mtime)
    assert lode("run", "--data", "t:data", "--", "stat", "-c", "%Y", "/data/data/big").stdout == f"{modified}\n"


def test_what_lies_at_the_same_path_is_proven_by_its_content(site, lode, data, blind, tmp_path):
    add(lode, data, **{"a": "the same", "b": content(2 * MIB, "b")})
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in "ab":
        (copy / name).write_bytes((data / name).read_bytes())
    worker = blind(prepare=f'cp {copy}/a {copy}/b "$HERE"')
    assert lode("run", "--data", "t:data", "--", "cat", "/data/data/a").stdout == "the same"
    assert sent(site) == {"files_sent": 0, "bytes_sent": 0} and worker.cached() == []
    assert len((worker.directory / "proofs").read_text().splitlines()) == 2
    # A copy with other bytes of the same length is not the registered file.
    other = blind("other", prepare=f'cp {copy}/b "$HERE" && printf THE_SAME > "$HERE"/a')
    worker.stop()
    assert lode("run", "--data", "t:data", "--", "sh", "-c", "cat /data/data/a").stdout == "the same"
    assert sent(site)["files_sent"] == 2 and len(other.cached()) == 2


def test_of_an_index_set_only_the_files_of_the_tasks_are_fetched(site, lode, data, blind):
    add(lode, data, **{f"{number:02}.txt": f"text {number}\n" * 100 for number in range(40)})
    worker = blind()
    ran = lode("run", "--over", "t:data", "--", "sh", "-c", "head -n 1 {file}; sleep 0.02")
    assert sorted(ran.stdout.splitlines()) == sorted(f"text {number}" for number in range(40))
    assert sent(site)["files_sent"] == 40 and len(worker.cached()) == 40
    # Nothing of a task's file is left for later tasks to hold.
    eventually(lambda: not list((worker.directory / "jobs").glob("*/fetched/*/*.txt")))
    assert all(path.stat().st_nlink == 1 for path in worker.cached())


OVER = ("run", "--cache", "off", "--over", "t:data", "--", "sh", "-c", "cat {file}; sleep 0.05")


def test_the_files_of_an_index_set_are_proven_where_they_lie(site, lode, data, blind, tmp_path):
    files = {f"{number:03}": f"text {number:03}\n" for number in range(12)}
    add(lode, data, **files)
    shutil.copytree(data, tmp_path / "copy")
    worker = blind(prepare=f'cp {tmp_path}/copy/* "$HERE"')  # With other times.
    for _ in range(2):
        assert sorted(lode(*OVER).stdout.splitlines(True)) == sorted(files.values())
        assert sent(site)["files_sent"] == 0 and worker.cached() == []
        assert len((worker.directory / "proofs").read_text().splitlines()) == 12


def test_nobody_computes_with_another_file_of_the_same_size_and_time(site, lode, data, blind, tmp_path):
    files = {f"{number:03}": f"text {number:03}\n" for number in range(12)}
    add(lode, data, **files)
    shutil.copytree(data, tmp_path / "copy")
    before = (data / "007").stat()
    (tmp_path / "copy" / "007").write_text("lies 007\n")
    os.utime(tmp_path / "copy" / "007", ns=(before.st_atime_ns, before.st_mtime_ns))
    worker = blind(prepare=f'cp -p {tmp_path}/copy/* "$HERE"')
    assert sorted(lode(*OVER).stdout.splitlines(True)) == sorted(files.values())
    assert "event=data-differs" in worker.log and 0 < sent(site)["files_sent"] <= 12


def test_a_checkpoint_is_put_back_again_where_other_data_interrupts_its_task(site, lode, data, blind, tmp_path):
    add(lode, data, it="the data\n")
    for name, text in (("same", "the data\n"), ("other", "the lies\n")):
        shutil.copytree(data, tmp_path / name)
        (tmp_path / name / "it").write_text(text)
        os.utime(tmp_path / name / "it", ns=((data / "it").stat().st_atime_ns, (data / "it").stat().st_mtime_ns))
    script = 'test -z "$LODE_CHECKPOINT" || exec cat state "$1"; echo of the first > state; exec sleep 600'
    first = blind("first", prepare=f'cp -p {tmp_path}/same/* "$HERE"')
    job = site.api("POST", "/v1/jobs", {"command": ["sh", "-c", script, "sh", "{file}"], "over": "t:data", "cache": "off",
                                        "checkpoint": {"files": ["state"], "interval_seconds": 1}}).json["id"]
    eventually(lambda: [task for task in site.api("GET", f"/v1/jobs/{job}/tasks?state=running").json["tasks"] if task.get("checkpoint_at")])
    first.kill()
    second = blind("second", prepare=f'cp -p {tmp_path}/other/* "$HERE"')
    done = eventually(lambda: (it := site.api("GET", f"/v1/jobs/{job}?wait=10").json)["state"] not in ("waiting", "running") and it)
    assert "event=data-differs" in second.log
    assert done["state"] == "succeeded", done
    assert site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"of the first\nthe data\n"


@pytest.mark.parametrize("sandbox", ("bubblewrap", "none"))
def test_a_file_far_behind_in_an_index_set_is_looked_at_too(site, lode, data, blind, tmp_path, sandbox):
    """A copy from before the last files were written: these are fetched, and no task fails."""
    files = {f"{number:03}": f"text {number:03}\n" for number in range(130)}
    add(lode, data, **files)
    shutil.copytree(data, tmp_path / "copy")
    blind("old", "--sandbox", sandbox, prepare=f'cp -p {tmp_path}/copy/* "$HERE" && rm "$HERE"/12?')
    ran = lode("run", "--cache", "off", "--over", "t:data", "--", "cat", "{file}")
    assert sorted(ran.stdout.splitlines(True)) == sorted(files.values())


def test_the_tasks_of_a_part_fetch_their_part(site, lode, data, blind):
    add(lode, data, **{f"{number:02}": f"text {number}" for number in range(20)})
    blind()
    job = site.api("POST", "/v1/jobs?wait=60", {"command": ["cat", "{file}"], "over": "t:data", "first_index": 5, "count": 3}).json
    assert job["state"] == "succeeded", job
    assert site.api("GET", f"/v1/jobs/{job['id']}/tasks/0/stdout").body == b"text 5"
    assert sent(site)["files_sent"] == 3


def test_a_killed_worker_takes_up_what_had_come(site, lode, data, blind):
    size = 64 * MIB
    add(lode, data, big=content(size, "big"))
    worker = blind()
    job = submit(lode, "--data", "t:data", "--", "sha256sum", "/data/data/big")
    eventually(lambda: worker.parts() > MIB, about="some of the file")
    worker.kill()
    have = worker.parts()
    before = sent(site)["bytes_sent"]
    assert 0 < have < size
    worker.start()
    assert lode("wait", job).returncode == 0
    assert f"event=input-resumed" in worker.log and f"from={have} bytes={size}" in worker.log
    # Only the rest was asked for; what the site had sent before is at most what fits into the buffers more than what had arrived.
    assert sent(site)["bytes_sent"] - before <= size - have + 8 * MIB
    assert lode("logs", job).stdout.split()[0] == hashlib.sha256((data / "big").read_bytes()).hexdigest()


def test_a_damaged_file_of_the_cache_is_found_and_fetched_anew(site, lode, data, blind):
    add(lode, data, a="the right content")
    worker = blind()
    lode("run", "--data", "t:data", "--", "cat", "/data/data/a")
    (path,) = worker.cached()
    path.chmod(0o600)
    path.write_text("the wrong content")  # As long, and in this life of the worker.
    assert lode("run", "--data", "t:data", "--", "sh", "-c", "cat /data/data/a").stdout == "the right content"
    assert "event=cache-corrupt" in worker.log and sent(site)["files_sent"] == 2
    worker.stop()
    (path,) = worker.cached()
    information = path.stat()
    path.chmod(0o600)
    path.write_text("the wrong content")
    os.utime(path, ns=(information.st_atime_ns, information.st_mtime_ns))  # Nothing but the content tells.
    worker.start()
    assert lode("run", "--data", "t:data", "--", "sh", "-c", "cat < /data/data/a").stdout == "the right content"
    assert worker.log.count("event=cache-corrupt") == 2 and sent(site)["files_sent"] == 3


def test_the_cache_makes_room_with_what_was_used_longest_ago(site, lode, data, blind, tmp_path):
    for number in range(4):
        folder = data / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(content(MIB, str(number)))
        lode("data", "add", f"t:{number}", folder)
    worker = blind("desk", "--cache-size", "3584K")

    def digests():
        return {path.name for path in worker.cached()}

    names = [hashlib.sha256(content(MIB, str(number))).hexdigest() for number in range(4)]

    def use(number, *more):
        lode("run", "--cache", "off", "--data", f"t:{number}", "--", "wc", "-c", f"/data/{number}/file", *more)

    for number in (0, 1, 2, 0):
        use(number)
    assert digests() == set(names[:3])
    use(3)
    assert names[3] in digests() and names[0] in digests() and names[1] not in digests()
    assert "event=inputs-removed" in worker.log
    # What does not fit at all is refused with the way out, and runs where it fits.
    lode("data", "add", "t:all", data)
    job = submit(lode, "--data", "t:all", "--", "ls", "/data/all")
    said = eventually(lambda: (lambda answer: "cache has room for 4 MB" in answer["why"] and answer)(why(site, job)))
    assert "no worker can run it; worker desk would have to fetch 4 MB" in said["why"] and "--cache-size" in said["change"]
    blind("roomy", "--cache-size", "100M")
    assert lode("wait", job).returncode == 0


def test_data_in_use_is_not_removed_for_others(site, lode, data, blind, tmp_path):
    gate = tmp_path / "gate"
    gate.mkdir()
    for name in ("one", "two"):
        (data / name).mkdir()
        (data / name / "file").write_bytes(content(MIB, name))
        lode("data", "add", f"t:{name}", data / name)
    lode("data", "add", "t:gate", gate)
    worker = blind("desk", "--cache-size", "1536K")
    script = "until [ -e /data/gate/go ]; do sleep 0.05; done; wc -c < /data/one/file"
    first = submit(lode, "--data", "t:one", "--data", "t:gate", "--", "sh", "-c", script)
    eventually(lambda: len(worker.cached()) == 1)
    second = submit(lode, "--data", "t:two", "--", "wc", "-c", "/data/two/file")
    said = eventually(lambda: (lambda answer: "wait for room" in answer["why"] and answer)(why(site, second)))
    assert "1 of 2 MB are in use" in said["why"] and "when other jobs there end" in said["change"]
    (gate / "go").touch()
    for job in (first, second):
        assert lode("wait", job).returncode == 0
    assert lode("logs", first).stdout.strip() == str(MIB)


def test_data_that_has_changed_ends_the_task_with_the_reason(site, lode, data, blind):
    add(lode, data, **{"a": "as registered", "b": "other"})
    job = submit(lode, "--data", "t:data", "--", "cat", "/data/data/a")
    (data / "a").write_text("as registexxx")
    blind()
    assert lode("wait", job, status=None).returncode == 125
    ended = site.api("GET", f"/v1/jobs/{job}").json
    assert ended["state"] == "failed" and "a is not as it was registered" in ended["message"] and "lode data verify" in ended["message"], ended


def test_data_whose_bytes_are_others_under_the_same_time_is_found_by_its_digest(site, lode, data, blind):
    add(lode, data, **{"0": "first", "1": "second", "2": "third"})
    job = submit(lode, "--over", "t:data", "--", "cat", "{file}")
    information = (data / "1").stat()
    with open(data / "1", "r+b") as file:
        file.write(b"SECOND")
    os.utime(data / "1", ns=(information.st_atime_ns, information.st_mtime_ns))
    blind()
    assert lode("wait", job, status=None).returncode == 125
    ended = site.api("GET", f"/v1/jobs/{job}").json
    assert ended["tasks"]["succeeded"] == 2 and ended["tasks"]["failed"] == 1, ended
    assert "input file data/1 has another content than it was registered with" in ended["message"], ended


def test_data_with_too_many_files_is_left_to_workers_that_see_it(site, lode, data, blind, make_lode):
    for number in range(1001):
        (data / f"{number:04}").write_text(str(number))
    lode("data", "add", "t:data", data)
    blind()
    job = submit(lode, "--data", "t:data", "--", "cat", "/data/data/1000")
    said = eventually(lambda: (lambda answer: "cannot fetch it" in answer["why"] and answer)(why(site, job)))
    assert "worker desk does not see the data data" in said["why"] and "1001 files" in said["why"] and "lode run --over" in said["change"]
    assert sent(site)["files_sent"] == 0
    # Over its files it runs.
    assert lode("run", "--over", "t:data", "--", "cat", "{file}").returncode == 0


def test_a_worker_gets_the_files_of_its_own_jobs_only(site, lode, data, blind, tmp_path):
    add(lode, data, a="content", b="more")
    gate = tmp_path / "gate"
    gate.mkdir()
    lode("data", "add", "t:gate", gate)
    blind()
    script = "until [ -e /data/gate/go ]; do sleep 0.05; done"
    job = submit(lode, "--data", "t:data", "--data", "t:gate", "--", "sh", "-c", script)
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 1)
    (worker,) = site.api("GET", "/v1/workers").json["workers"]
    desk = (tmp_path / "desk.token").read_text().strip()
    digest = "sha256:" + hashlib.sha256(b"content").hexdigest()

    def get(token, path, worker=worker["id"], job=job, name="data", digest=digest, **options):
        return site.api("GET", f"/v1/workers/{worker}/jobs/{job}/data/{name}/{path}?digest={digest}", token=token, **options)

    assert get(desk, "a").body == b"content"
    assert get(desk, "a", headers={"Range": "bytes=3-"}).body == b"tent"
    assert get(desk, "b").code == 409  # Not what the job was told of.
    assert get(desk, "a", digest="sha256:00").code == 400 and get(desk, "c").code == 404
    assert get(desk, "..%2Fa").code in (400, 404) and get(desk, "a", name="other").code == 404
    assert get(desk, "a", job=job + 1).code == 403 and get(desk, "a", worker=worker["id"] + 1).code == 403
    other = site.api("POST", "/v1/tokens", {"principal": "other", "role": "worker"}).json["token"]
    user = site.api("POST", "/v1/tokens", {"principal": "user", "role": "user"}).json["token"]
    assert get(other, "a").code == 403 and get(user, "a").code == 403
    (gate / "go").touch()
    assert lode("wait", job).returncode == 0
    assert get(desk, "a").code == 403  # It has ended.


def test_jobs_go_to_workers_with_their_labels(site, lode, blind, tmp_path):
    job = submit(lode, "--require", "gpu=a100", "--require", "zone", "--gpus", "1", "--", "sh", "-c", "echo on $CUDA_VISIBLE_DEVICES")
    plain = blind("plain", "--label", "gpu=h100", "--label", "zone=hall1", "--gpus", "4")
    said = eventually(lambda: (lambda answer: "gpu=a100" in answer["why"] and answer)(why(site, job)))
    assert "it needs gpu=a100; no worker has it" in said["why"] and "lode worker --label gpu=a100" in said["change"]
    # What a job requires outlasts the site.
    site.stop()
    site.start()
    eventually(lambda: "it needs gpu=a100; no worker has it" in why(site, job)["why"])
    blind("other", "--label", "gpu=a100", "--label", "zone=hall2", "--gpus", "0")
    eventually(lambda: "needs 1 gpu; no worker has more than 0" in why(site, job)["why"])
    blind("right", "--label", "gpu=a100", "--label", "zone=hall2", "--gpus", "2")
    assert lode("wait", job).returncode == 0
    assert lode("logs", job).stdout == "on 0\n" and "event=registered" in plain.log
    (found,) = [worker for worker in site.api("GET", "/v1/workers").json["workers"] if worker["name"] == "right"]
    assert found["labels"] == ["gpu=a100", "zone=hall2"] and found["gpus"] == 2 and found["tasks_done"] == 1
    # Two at once have one each; a third waits.
    script = "echo $CUDA_VISIBLE_DEVICES > on; until [ -e /data/gate/go ]; do sleep 0.05; done"
    gate = tmp_path / "gate"
    gate.mkdir()
    lode("data", "add", "t:gate", gate)
    three = submit(lode, "--count", "3", "--cpus", "0.1", "--require", "gpu=a100", "--gpus", "1", "--data", "t:gate", "--output", "on", "--", "sh", "-c", script)
    eventually(lambda: site.api("GET", f"/v1/jobs/{three}").json["tasks"]["running"] == 2)
    (gate / "go").touch()
    assert lode("wait", three).returncode == 0
    refused = lode("run", "--require", "a b", "--", "true", status=2)
    assert '"a b" is no label' in refused.stderr


def test_a_job_goes_where_its_inputs_are(site, lode, data, blind, tmp_path):
    size = 96 * MIB
    with open(data / "big", "wb") as file:
        file.truncate(size)
    lode("data", "add", "t:data", data)
    blind("first")
    lode("run", "--data", "t:data", "--", "true")
    blind("second")
    eventually(lambda: len(site.api("GET", "/v1/workers").json["workers"]) == 2)
    for _ in range(5):  # Whoever asks first: it is the first worker's for as long as the second would fetch.
        lode("run", "--cache", "off", "--data", "t:data", "--", "true")
    done = {worker["name"]: worker["tasks_done"] for worker in site.api("GET", "/v1/workers").json["workers"]}
    assert done == {"first": 6, "second": 0} and sent(site)["bytes_sent"] == size
