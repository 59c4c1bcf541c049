"""A worker's disk that is full, or the site's while results are on their way: nobody's task is to blame, and nothing that was cut short counts."""

import hashlib

import pytest
from conftest import eventually
from test_faults import small_disk  # noqa: F401  (a fixture)
from test_leaving import pool, starts  # noqa: F401  (a fixture)
from test_workers import Polls, answer, described, hello, scripted, start_worker  # noqa: F401  (fixtures)

SIZE = 300_000


@pytest.fixture
def disk(small_disk):  # noqa: F811
    """disk.fill() and disk.free() of the small file system; disk.place is a folder on it."""

    class Disk:
        place = small_disk

        @staticmethod
        def fill():
            with open(small_disk / "fill", "wb", buffering=0) as out:
                step = 1 << 20
                while step:
                    try:
                        out.write(bytes(step))
                    except OSError:
                        step //= 16

        @staticmethod
        def free():
            (small_disk / "fill").unlink()

    return Disk


@pytest.fixture
def cramped(pool, disk):  # noqa: F811
    """A pool with the worker `cramped`, which has its folder on the small disk."""
    (disk.place / "worker").mkdir()
    (pool.site.user.folder / "cramped").symlink_to(disk.place / "worker")
    pool.start("cramped")
    return pool


def writer(folder, end):
    """A command that waits for a file `go` and then writes SIZE bytes into its own folder."""
    return "sh", "-c", f"echo start >> {folder}/starts; until [ -e {folder}/go ]; do sleep 0.05; done; head -c {SIZE} /dev/zero > big 2>/dev/null {end}; wc -c < big"


@pytest.mark.parametrize("end", ("|| exit 7", "|| true"), ids=("says_so", "goes_on_as_if_nothing_were"))
def test_what_met_a_full_disk_is_done_again(cramped, disk, lode, tmp_path, end):
    job = cramped.submit(*writer(tmp_path, end), disk_bytes=1 << 20)
    eventually(lambda: starts(tmp_path) == 1)
    disk.fill()
    (tmp_path / "go").touch()
    eventually(lambda: cramped.job(job)["failures"]["worker"] == 1, about="the end of the first attempt")
    # It is not tried there again and again while that cannot work.
    eventually(lambda: "the disk of worker cramped is full" in lode("why", str(job)).stdout, about="the reason why it waits")
    assert starts(tmp_path) == 1
    disk.free()
    assert cramped.ended(job)["state"] == "succeeded"
    assert cramped.site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"%d\n" % SIZE
    (failed,) = cramped.site.api("GET", f"/v1/jobs/{job}/tasks/0").json["failed_attempts"]
    assert failed["cause"] == "worker" and "disk was full" in failed["message"], failed
    assert "event=disk-full" in cramped.log("cramped") and "event=disk-has-room" in cramped.log("cramped")


def test_the_rest_of_a_lease_does_not_meet_the_full_disk_too(cramped, disk, tmp_path):
    job = cramped.submit(*writer(tmp_path, "|| exit 7"), count=50, disk_bytes=1 << 20)
    eventually(lambda: starts(tmp_path) == 1)
    disk.fill()
    (tmp_path / "go").touch()
    eventually(lambda: cramped.job(job)["failures"]["worker"] >= 1, about="the end of the first attempt")
    disk.free()
    assert cramped.ended(job)["state"] == "succeeded"
    # The first one, and the one that had begun when the worker heard of it.
    assert cramped.job(job)["failures"]["worker"] <= 2


def test_a_task_that_fails_while_there_is_room_has_failed(cramped, disk):
    job = cramped.submit("sh", "-c", "exit 7", disk_bytes=1 << 20)
    done = cramped.ended(job)
    assert done["state"] == "failed" and done["exit_code"] == 7 and done["failures"]["fail"] == 1, done


def test_a_worker_with_a_full_disk_leaves_tasks_to_others(cramped, disk):
    disk.fill()
    job = cramped.submit("sh", "-c", "echo x > here; cat here", count=20, disk_bytes=1 << 20)
    eventually(lambda: "event=disk-full" in cramped.log("cramped"), about="the worker's notice")
    cramped.start("other")
    done = cramped.ended(job)
    assert done["state"] == "succeeded" and not any(done["failures"].values()), done
    assert {cramped.site.api("GET", f"/v1/jobs/{job}/tasks/{index}").json["worker"] for index in range(20)} == {"other"}


def test_what_a_job_brings_is_fetched_once_there_is_room(cramped, disk, lode):
    script = b"echo from the script\n" + b"#" * SIZE
    digest = f"sha256:{hashlib.sha256(script).hexdigest()}"
    assert cramped.site.api("PUT", f"/v1/blobs/{digest}", script).code in (200, 201)
    disk.fill()
    job = cramped.submit("sh", "a.sh", files=[{"name": "a.sh", "blob": digest, "executable": False}], disk_bytes=1 << 20)
    eventually(lambda: "the disk of worker cramped is full" in lode("why", str(job)).stdout, about="the reason why it waits")
    disk.free()
    done = cramped.ended(job)
    assert done["state"] == "succeeded" and not any(done["failures"].values()), done


def test_an_output_is_sent_again_when_the_sites_disk_was_full(scripted, start_worker):  # noqa: F811
    hello(scripted)
    times = []

    def put(request):
        times.append(1)
        if len(times) < 3:
            return 507, {"status": 507, "detail": "the disk is full", "fix": ""}, {"Content-Type": "application/problem+json"}
        return 201, {}

    scripted.on("PUT", r"/v1/blobs/.*", put)
    polls = Polls(scripted, answer(leases=[[1, 17, 0, 1]], jobs=[described(17, ["sh", "-c", "echo x > a.txt"], outputs=["*.txt"])]), lambda body: (200, answer()))
    start_worker(scripted.url, scripted.fingerprint)
    (task,) = eventually(polls.results, about="the result")
    assert task[1:3] == [0, 0] and task[9][0][0] == "a.txt", task
    assert len(times) == 3
