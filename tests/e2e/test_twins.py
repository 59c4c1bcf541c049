"""One computation that comes by several ways runs once: through one site, and through two hubs under one key."""

import pytest
from conftest import eventually
from test_travel import ended, lines


@pytest.fixture
def three(make_site, make_lode):
    """Two hubs without workers, `left` and `right`, and the site `there`, which all of them know by --peer."""
    sites = {}
    for name, workers in (("left", 0), ("right", 0), ("there", 2)):
        sites[name] = make_site(user=make_lode(name), options=["--name", name, "--workers", str(workers), "--sandbox", "none"])
    for name, site in sites.items():
        site.stop()
        for other_name, other in sites.items():
            if other is not site:
                site.options += ["--peer", f"{other_name}={other.fingerprint}@{other.url}"]
    return [site.start() for site in sites.values()]


def gated(folder, **more):
    """A job of two tasks that note each run of theirs, and end when the gate is open."""
    script = f"echo {{index}} >> {folder}/runs; while [ ! -e {folder}/gate ]; do sleep 0.05; done; echo answer {{index}}; head -c 40000 /dev/zero > out.bin"
    return {"command": ["sh", "-c", script], "count": 2, "outputs": ["*.bin"], **more}


def submit(site, job, key=None):
    answer = site.api("POST", "/v1/jobs", job, headers={"Idempotency-Key": key} if key else {})
    assert answer.code == 201, answer
    return answer.json["id"]


def jobs_of(site):
    return sorted(site.api("GET", "/v1/jobs").json["jobs"], key=lambda job: job["id"])


def await_why(site, job, *words):
    def why():
        text = site.api("GET", f"/v1/jobs/{job}/why").json["why"]
        return text if all(word in text for word in words) else None

    return eventually(why, 60, f"{words} in why of job {job}")


def await_results(site, job):
    shown = ended(site, job)
    assert shown["state"] == "succeeded" and shown["tasks"]["succeeded"] == 2, shown
    for index in range(2):
        assert site.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body == f"answer {index}\n".encode()
    outputs = site.api("GET", f"/v1/jobs/{job}/outputs").json["outputs"]
    assert len(outputs) == 2
    assert site.api("GET", f"/v1/blobs/{outputs[0]['digest']}").body == bytes(40000)


def test_a_second_user_gets_the_results_of_what_is_running(three, folder):
    _, _, there = three
    first = submit(there, gated(folder))
    eventually(lambda: len(lines(folder / "runs")) == 2, 60, "both tasks")
    second = submit(there, gated(folder))
    await_why(there, second, f"it waits for job {first}, which computes the same")
    there.kill()
    there.start()
    await_why(there, second, f"it waits for job {first}, which computes the same")
    (folder / "gate").touch()
    await_results(there, first)
    await_results(there, second)
    assert lines(folder / "runs") == ["0", "1"]
    assert there.api("GET", f"/v1/jobs/{second}").json["tasks"]["cached"] == 2


@pytest.mark.parametrize("mode", ["use", "off"])
def test_one_key_through_two_hubs_runs_once(three, folder, mode):
    left, right, there = three
    job = gated(folder, at="there", cache=mode)
    of_left = submit(left, job, "9f1c")
    eventually(lambda: len(lines(folder / "runs")) == 2, 60, "both tasks")
    of_right = submit(right, job, "9f1c")
    eventually(lambda: len(jobs_of(there)) == 2, 60, "the job of the other hub")
    first, second = jobs_of(there)
    await_why(there, second["id"], f"it waits for job {first['id']} of another user, which computes the same")
    await_why(right, of_right, "site there says: it waits for job")
    (folder / "gate").touch()
    await_results(left, of_left)
    await_results(right, of_right)
    assert lines(folder / "runs") == ["0", "1"]
    # Once more through the first, when all is over: the same job.
    assert submit(left, job, "9f1c") == of_left
    assert len(jobs_of(there)) == 2


def test_another_key_is_another_submission(three, folder):
    left, right, there = three
    job = gated(folder, at="there", cache="off")
    (folder / "gate").touch()
    for site, key in ((left, "one"), (right, "other")):
        await_results(site, submit(site, job, key))
    assert lines(folder / "runs") == ["0", "0", "1", "1"]


def test_a_hub_that_dies_takes_nothing_from_the_other(three, folder):
    left, right, there = three
    job = gated(folder, at="there", cache="off")
    of_left = submit(left, job, "9f1c")
    eventually(lambda: len(lines(folder / "runs")) == 2, 60, "both tasks")
    left.kill()
    of_right = submit(right, job, "9f1c")
    eventually(lambda: len(jobs_of(there)) == 2, 60, "the job of the other hub")
    await_why(there, jobs_of(there)[1]["id"], "it waits for job")
    (folder / "gate").touch()
    await_results(right, of_right)
    left.start()
    await_results(left, of_left)
    assert lines(folder / "runs") == ["0", "1"]


def test_a_cancel_at_one_hub_leaves_the_other_its_job(three, folder):
    left, right, there = three
    job = gated(folder, at="there", cache="off")
    of_left = submit(left, job, "9f1c")
    eventually(lambda: len(lines(folder / "runs")) == 2, 60, "both tasks")
    of_right = submit(right, job, "9f1c")
    eventually(lambda: len(jobs_of(there)) == 2, 60, "the job of the other hub")
    assert left.api("POST", f"/v1/jobs/{of_left}/cancel").code == 200
    eventually(lambda: len(lines(folder / "runs")) == 4, 60, "the tasks of the other hub's job")
    (folder / "gate").touch()
    await_results(right, of_right)
    assert left.api("GET", f"/v1/jobs/{of_left}").json["state"] == "cancelled"
