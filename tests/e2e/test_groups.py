"""Groups: who may submit for one, which workers work for it, and how the site is shared between those that compete."""

import os

import pytest
from conftest import eventually


@pytest.fixture
def own_site(make_site):
    """A site without workers of its own."""
    return make_site(options=("--workers", "0"))


@pytest.fixture
def start_worker(own_site, lode, tmp_path):
    """start_worker(name, cpus, *options): starts `lode worker` for the site."""
    workers = []

    def start(name, cpus, *options):
        directory = own_site.directory
        with open(tmp_path / f"{name}.log", "ab") as log:
            workers.append(lode.start("worker", "--site-file", directory / "site.json", "--token-file", directory / "worker.token",
                                      "--directory", tmp_path / name, "--name", name, "--cpus", str(cpus), "--memory", "8G", *options,
                                      stdout=log, stderr=log))
        eventually(lambda: name in [each["name"] for each in own_site.api("GET", "/v1/workers").json["workers"]])
        return workers[-1]

    yield start
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait(60)


def submit(lode, *words, **options):
    return lode.json("submit", "--cache", "off", "--memory", "16M", "--disk", "1M", *words, **options)["id"]


def tasks(lode, job):
    return lode.json("job", "show", str(job))["tasks"]


def test_members_and_administrators_submit_for_a_group(site, make_lode, lode):
    lode("group", "create", "physics", "--weight", "2")
    token = lode("token", "create", "ada").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    job = {"command": ["true"], "group": "physics"}
    refused = site.api("POST", "/v1/jobs", job, headers)
    assert refused.code == 403 and "not a member" in refused.json["detail"] and "lode group add physics ada" in refused.json["fix"], refused
    assert site.api("GET", "/v1/groups", None, headers).json["groups"] == []
    assert "weight 2, members: ada" in lode("group", "add", "physics", "ada").stdout
    taken = site.api("POST", "/v1/jobs", job, headers)
    assert taken.code == 201 and taken.json["group"] == "physics" and taken.json["owner"] == "ada", taken
    own = site.api("POST", "/v1/jobs", {"command": ["true"]}, headers)
    assert own.json["group"] == "ada"
    assert site.api("POST", "/v1/jobs", {"command": ["true"], "group": "ada"}, headers).code == 201
    assert [each["name"] for each in site.api("GET", "/v1/groups", None, headers).json["groups"]] == ["physics"]
    for method, path, body in (("POST", "/v1/groups", {"name": "mine"}), ("PUT", "/v1/groups/physics/weight", {"weight": 9}),
                               ("PUT", "/v1/groups/physics/members/eve", None), ("DELETE", "/v1/groups/physics", None)):
        assert site.api(method, path, body, headers).code == 403, (method, path)
    # An administrator may submit for any that there is.
    assert lode.json("job", "show", str(submit(lode, "--group", "physics", "--", "true")))["group"] == "physics"
    assert "there is no group" in lode("submit", "--group", "chemistry", "--", "true", status=1).stderr
    lode("group", "remove", "physics", "ada")
    assert site.api("POST", "/v1/jobs", job, headers).code == 403
    site.stop()
    site.start()
    assert lode.json("group", "list")["groups"][0]["weight"] == 2
    lode("group", "delete", "physics")
    assert lode.json("group", "list")["groups"] == []


def test_a_worker_works_for_its_groups_in_order_and_is_moved_without_a_restart(own_site, lode, start_worker):
    for group in ("physics", "spare", "biology"):
        lode("group", "create", group)
    worker = start_worker("desk", 1, "--groups", "physics,spare")
    other = submit(lode, "--group", "biology", "--", "true")
    spare = submit(lode, "--group", "spare", "--count", "200", "--", "sleep", "0.1")
    eventually(lambda: tasks(lode, spare)["succeeded"] >= 2)
    # Work of its first group comes before what is left of the second.
    first = submit(lode, "--group", "physics", "--count", "5", "--", "sleep", "0.05")
    lode("wait", str(first))
    assert tasks(lode, spare)["waiting"] > 0
    assert tasks(lode, other)["succeeded"] == 0
    said = lode.json("why", str(other))
    assert "no worker works for its group" in said["why"] and "desk (physics,spare)" in said["why"], said
    assert lode("worker", "move", "desk", "biology").stdout == "worker desk works for biology\n"
    lode("wait", str(other))
    assert worker.poll() is None
    left = tasks(lode, spare)["waiting"]
    assert left > 0
    assert [each["groups"] for each in own_site.api("GET", "/v1/workers").json["workers"]] == [["biology"]]
    # It holds when the site was away, as the worker is the same.
    own_site.kill()
    own_site.start()
    eventually(lambda: [each["groups"] for each in own_site.api("GET", "/v1/workers").json["workers"] if each["state"] not in ("gone", "lost")] == [["biology"]])
    lode("worker", "move", "desk", "--all")
    eventually(lambda: tasks(lode, spare)["waiting"] < left)
    lode("cancel", str(spare))


def test_unknown_groups_are_refused_or_said(own_site, lode, start_worker, tmp_path):
    start_worker("desk", 1, "--groups", "phisics")
    log = tmp_path / "desk.log"
    assert 'event=unknown-groups groups="phisics"' in eventually(lambda: "unknown-groups" in log.read_text() and log.read_text())
    refused = lode("worker", "move", "desk", "nogroup", status=1).stderr
    assert 'there is no group "nogroup"' in refused and "lode group create" in refused
    lode("group", "create", "physics")
    lode("group", "create", "biology")
    refused = lode("worker", "move", "desk", "physics,nogroup", status=1).stderr
    assert "there are: biology, physics" in refused
    assert [each["groups"] for each in own_site.api("GET", "/v1/workers").json["workers"]] == [["phisics"]]
    # Everybody has a group of his own.
    assert "nobody of that name" in lode("worker", "move", "desk", "ada", status=1).stderr
    lode("token", "create", "ada")
    assert "works for ada" in lode("worker", "move", "desk", "ada").stdout
    assert "works for physics" in lode("worker", "move", "desk", "physics").stdout
    start_worker("other", 1, "--groups", "biology")
    eventually(lambda: "event=registered" in (tmp_path / "other.log").read_text())
    assert "unknown-groups" not in (tmp_path / "other.log").read_text()


def test_bad_groups_are_refused_and_nothing_changes(own_site, lode, start_worker):
    start_worker("desk", 1)
    assert "which groups" in lode("worker", "move", "desk", status=2).stderr
    assert "not both" in lode("worker", "move", "desk", "a", "--all", status=2).stderr
    assert "no worker" in lode("worker", "move", "nobody", "a", status=1).stderr
    many = ",".join(f"g{i}" for i in range(17))
    assert "at most 16" in lode("worker", "move", "desk", many, status=2).stderr
    assert "twice" in lode("worker", "move", "desk", "a,a", status=1).stderr
    assert "not the name" in lode("worker", "move", "desk", "a,,b", status=1).stderr
    assert "not a name" in lode("group", "create", "two words", status=1).stderr
    assert "not a weight" in lode("group", "weight", "g", "none", status=2).stderr
    assert "there is no group" in lode("group", "weight", "g", "2", status=1).stderr
    assert [each["groups"] for each in own_site.api("GET", "/v1/workers").json["workers"]] == [[]]


def test_capacity_shifts_between_competing_groups_within_seconds(own_site, lode, start_worker):
    """Twelve slots. Shares follow a new competitor and a changed weight within the seconds of `eventually`."""
    for group in ("physics", "biology"):
        lode("group", "create", group)
    start_worker("rack", 12, "--sandbox", "none")
    first = submit(lode, "--group", "physics", "--cpus", "1", "--count", "100000", "--", "sleep", "0.2")
    eventually(lambda: tasks(lode, first)["running"] == 12, 20)
    second = submit(lode, "--group", "biology", "--cpus", "1", "--count", "100000", "--", "sleep", "0.2")

    def shares():
        return tasks(lode, first)["running"], tasks(lode, second)["running"]

    eventually(lambda: shares() == (6, 6), 10, "equal shares of equal weights")
    lode("group", "weight", "biology", "3")
    eventually(lambda: shares() == (3, 9), 10, "three times as much for three times the weight")
    lode("group", "weight", "physics", "9")
    eventually(lambda: shares() == (9, 3), 10, "the other way round")
    lode("cancel", str(first))
    eventually(lambda: tasks(lode, second)["running"] == 12, 10, "all for who is left")
    lode("cancel", str(second))
