"""Faults of a federation, with real processes on machines of their own (networks.py): partitions, old backups, wrong clocks, deaths at bad moments.

Which tests hold which fault (here, unless a file is named):

| fault | tests |
| --- | --- |
| partition between site and hub | test_a_partition_between_sites_and_hub...; test_any_one_hub_that_can_be_reached_is_enough |
| partition between hubs | test_a_partition_between_hubs... |
| one-way partition | test_a_one_way_partition...; between hubs: the same as above; under a job: test_a_partition_in_the_middle_of_a_job..., test_a_submission_whose_answer_is_lost... |
| a hub restored from an old backup | test_a_hub_restored...; test_federation_peers: test_a_hub_restored_from_an_old_backup..., test_a_hub_that_lost_everything_but_its_key... |
| a site restored from an old backup | test_a_site_restored_while...; test_a_home_restored...; test_federation_peers: two tests of restored sites; test_link: test_a_job_that_the_other_site_has_lost... |
| a site's key changed | test_a_site_with_another_key...; test_federation_peers: test_another_key_of_a_hub..., test_another_key_under_the_name_of_a_member... |
| a log rewritten | test_federation_peers: test_a_rewritten_log...; replayed or altered entries: test_resolve |
| clocks an hour off | test_clocks_an_hour_off..., test_jobs_travel_between_clocks...; test_federation_peers: test_a_clock_that_is_an_hour_off... |
| all hubs dead; any one is enough | test_resolve: test_with_all_hubs_dead..., test_any_one_hub_alive... |
| a site killed in the middle of a remote job | test_travel: test_a_kill_loses_nothing... (home, link, there, all); test_link: test_a_kill_in_the_middle... |
| killed between accept and start | test_link: test_a_kill_between_accept_and_start..., test_a_link_that_is_killed_before_it_submits... |
| killed during replication | test_a_replica_under_way... (source, target, the way between) |
| one idempotency key twice | test_two_submissions_with_one_key...; test_a_submission_whose_answer_is_lost...; through two hubs, one of which dies: test_twins |
| slow, garbage, endless peers | test_federation_peers: test_a_hub_that_answers_badly...; test_resolve: test_a_hub_without_manners...; test_link: those of `strange` |
| reasons in `why` | test_a_submission_whose_answer_is_lost..., test_a_site_with_another_key...; test_travel: test_why_says...; test_link: test_a_site_that_takes_no_guests... |
"""

import concurrent.futures
import json
import os
import pathlib
import shutil

import pytest
from conftest import eventually
from networks import FederationApart, make_network
from test_resolve import path_of

LIBFAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
WAIT_SECONDS = 120  # For what takes a few seconds on a machine at rest; an open call that met silence ends after 50 s.


@pytest.fixture
def apart(request, folder):
    """A federation whose members have a machine each; `apart.network` cuts the ways between them."""
    network = make_network()
    federation = FederationApart(folder, network)
    request.node.sites = federation.members
    yield federation
    federation.stop()
    network.close()


def position(site):
    """Where the site's own log is, by its own signed word: epoch and serial."""
    head = json.loads(site.peer_call("GET", "/v1/federation/poll?epoch=1&after=0").body.splitlines()[0])
    return head["epoch"], head["serial"]


def await_current(hub, *sites):
    """Waits until the hub has all that the sites have said, hears them, and finds nothing wrong with them."""

    def is_current():
        seen = hub.sites()
        for site in sites:
            of_site = seen.get(site.name)
            if not of_site or (of_site["epoch"], of_site["serial"]) != position(site):
                return None
            if of_site["state"] != "up" or of_site["problem"] is not None:
                return None
        return seen

    return eventually(is_current, WAIT_SECONDS, f"all logs at {hub.name}")


def resolve(site, identifier, query="?anew=true"):
    """The locations of a dataset by the name of the site that has it; none when it is unknown."""
    answer = site.api("GET", path_of(identifier, query), token=False)
    return {location["name"]: location for location in answer.json["locations"]} if answer.code == 200 else {}


def await_names(site, identifier, *names):
    eventually(lambda: set(resolve(site, identifier)) == set(names), WAIT_SECONDS, f"{identifier} at {names}, as {site.name} says")


def restore(site, backup):
    """The site's directory becomes what it was when `backup` was taken."""
    site.stop()
    shutil.rmtree(site.directory)
    shutil.copytree(backup, site.directory)
    site.start()


def take_backup(site, backup):
    site.stop()
    shutil.copytree(site.directory, backup)
    site.start()


# Partitions.


def test_a_partition_between_sites_and_hub_is_told_at_both_ends_and_heals_by_itself(apart):
    """It begins under open connections and lasts longer than the system keeps trying on them (10 s)."""
    hub = apart.hub("hub", "--join", "open")
    ocean = apart.site("ocean")
    desert = apart.site("desert")
    for site, mode in ((ocean, "push"), (desert, "poll")):
        site.add_data(f"t:{site.name}-before")
        site.add_hub(hub, "--mode", mode)
    await_current(hub, ocean, desert)
    for site in (ocean, desert):
        apart.network.cut(hub.node, site.node)
        site.add_data(f"t:{site.name}-during")
    eventually(lambda: {hub.sites()[site.name]["state"] for site in (ocean, desert)} <= {"stale", "down"}, about="the silence")
    for site in (ocean, desert):
        # The hub goes on with what it knows and says so; the site goes on with what it has.
        assert resolve(hub, f"t:{site.name}-before")[site.name]["liveness"] in ("stale", "down")
        assert resolve(hub, f"t:{site.name}-during") == {}
        assert set(resolve(site, f"t:{site.name}-during")) == {site.name}
    for problem in (lambda: ocean.hubs()["hub"]["problem"], lambda: hub.sites()["desert"]["problem"]):
        assert "no answer in time" in eventually(problem, about="the word of the end that calls")
    apart.network.heal()
    seen = await_current(hub, ocean, desert)
    eventually(lambda: ocean.hubs()["hub"]["problem"] is None, WAIT_SECONDS, "the end of the problem")
    for site in (ocean, desert):
        assert seen[site.name]["epoch"] == 1
        assert resolve(hub, f"t:{site.name}-during")[site.name]["liveness"] == "up"


@pytest.mark.parametrize("direction", ["to the hub", "from the hub"])
def test_a_one_way_partition_loses_and_doubles_nothing(apart, direction):
    """Calls still arrive at one end, on connections that are open; that end is never heard."""
    hub = apart.hub("hub", "--join", "open")
    ocean = apart.site("ocean")
    desert = apart.site("desert")
    for site, mode in ((ocean, "push"), (desert, "poll")):
        site.add_data(f"t:{site.name}-before")
        site.add_hub(hub, "--mode", mode)
    await_current(hub, ocean, desert)
    for site in (ocean, desert):
        ends = (site.node, hub.node) if direction == "to the hub" else (hub.node, site.node)
        apart.network.cut_one_way(*ends)
        for number in range(3):
            site.add_data(f"t:{site.name}-{number}")
    eventually(lambda: {hub.sites()[site.name]["state"] for site in (ocean, desert)} <= {"stale", "down"}, about="the silence")
    apart.network.heal()
    seen = await_current(hub, ocean, desert)
    for site in (ocean, desert):
        assert seen[site.name]["epoch"] == 1 and "restored" not in site.log
        for number in range(3):
            assert set(resolve(hub, f"t:{site.name}-{number}")) == {site.name}


@pytest.mark.parametrize("ways", ["both ways", "one way"])
def test_a_partition_between_hubs_heals_by_itself(apart, ways):
    first = apart.hub("first", "--join", "open")
    second = apart.hub("second", "--join", "open")
    ocean = apart.site("ocean")
    desert = apart.site("desert")
    second.add_hub(first)
    for site, hub in ((ocean, first), (desert, second)):
        site.add_data(f"t:{site.name}-before")
        site.add_hub(hub)
    for hub in (first, second):
        await_current(hub, ocean, desert)
    (apart.network.cut if ways == "both ways" else apart.network.cut_one_way)(first.node, second.node)
    for site, hub, other in ((ocean, first, second), (desert, second, first)):
        site.add_data(f"t:{site.name}-during")
        await_current(hub, site)
        # Each half goes on with what it has, and the other half with what it knows.
        assert set(resolve(hub, f"t:{site.name}-during")) == {site.name}
        assert resolve(other, f"t:{site.name}-before")[site.name]["entry"]["serial"] == 1
    apart.network.heal()
    for hub in (first, second):
        await_current(hub, ocean, desert)
        for site in (ocean, desert):
            assert set(resolve(hub, f"t:{site.name}-during")) == {site.name}


def test_any_one_hub_that_can_be_reached_is_enough(apart):
    hubs = [apart.hub(name, "--join", "open") for name in ("first", "second")]
    ocean = apart.site("ocean")
    ice = apart.site("ice")
    for hub in hubs:
        ocean.add_hub(hub)
        ice.add_hub(hub)
    ocean.add_data("t:waves")
    for hub in hubs:
        await_current(hub, ocean)
    for lost in hubs:
        apart.network.cut(ice.node, lost.node)
        # What ice remembers does not say that ocean is up; a hub that did not answer in time is left alone for some seconds.
        eventually(lambda: resolve(ice, "t:waves").get("ocean", {}).get("liveness") == "up", WAIT_SECONDS, "the other hub's answer")
        apart.network.heal()


# Old backups.


def test_a_hub_restored_from_an_old_backup_catches_up_and_so_does_who_follows_it(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    ocean.add_data("t:first")
    await_current(hub, ocean)
    take_backup(hub, federation.folder / "backup")
    follower = federation.hub("follower", "--join", "open")
    follower.add_hub(hub)
    ocean.add_data("t:second")
    desert = federation.site("desert")  # The backup has not heard of it.
    desert.add_data("t:third")
    desert.add_hub(hub)
    await_current(follower, ocean, desert)
    restore(hub, federation.folder / "backup")
    ocean.add_data("t:fourth")
    for each in (hub, follower):
        await_current(each, ocean, desert)
        await_names(each, "t:fourth", "ocean")
        await_names(each, "t:third", "desert")
    assert position(ocean)[0] == 1, "a hub that is behind is no reason for a new epoch"


def test_a_site_restored_while_a_hub_is_cut_off_gets_its_new_epoch_there_later(apart):
    near = apart.hub("near", "--join", "open")
    far = apart.hub("far", "--join", "open")
    ocean = apart.site("ocean")
    for hub in (near, far):
        ocean.add_hub(hub)
    ocean.add_data("t:kept")
    for hub in (near, far):
        await_current(hub, ocean)
    take_backup(ocean, apart.folder / "backup")
    ocean.add_data("t:lost")
    for hub in (near, far):
        await_current(hub, ocean)
    apart.network.cut(ocean.node, far.node)
    restore(ocean, apart.folder / "backup")
    ocean.add_data("t:after")
    eventually(lambda: near.sites()["ocean"]["epoch"] == 2, WAIT_SECONDS, "the new epoch, which has as many entries as the old one")
    await_current(near, ocean)
    await_names(near, "t:after", "ocean")
    assert far.sites()["ocean"]["epoch"] == 1 and set(resolve(far, "t:lost")) == {"ocean"}
    apart.network.heal()
    assert await_current(far, ocean)["ocean"]["epoch"] == 2
    for hub in (near, far):
        await_names(hub, "t:kept", "ocean")
        await_names(hub, "t:after", "ocean")
        await_names(hub, "t:lost")


# Clocks.


def clock(offset):
    """The environment of a process whose clock of the day is off; clocks that only measure are right, as they are on such a machine."""
    return {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}


@pytest.mark.skipif(not LIBFAKETIME, reason="libfaketime is not installed: ./dev setup check")
def test_clocks_an_hour_off_hinder_nothing(federation):
    hub = federation.hub("hub", "--join", "open")
    second = federation.hub("second", "--join", "open", environment=clock("+1h"))
    ocean = federation.site("ocean", environment=clock("-1h"))
    desert = federation.site("desert", environment=clock("+1h"))
    ice = federation.site("ice")
    second.add_hub(hub)
    for site, mode in ((ocean, "push"), (desert, "poll"), (ice, "both")):
        site.add_hub(hub, "--mode", mode)
        site.add_data(f"t:{site.name}")
    for each in (hub, second):
        await_current(each, ocean, desert, ice)
    seen = hub.sites()
    assert abs(seen["ocean"]["clock_offset_seconds"] + 3600) < 60 and abs(seen["desert"]["clock_offset_seconds"] - 3600) < 60
    for asked in (hub, second, ocean, desert, ice):
        for site in (ocean, desert, ice):
            await_names(asked, f"t:{site.name}", site.name)
            assert resolve(asked, f"t:{site.name}")[site.name]["liveness"] == "up"
    assert "ocean" in ice("resolve", "t:ocean").stdout


# Jobs that travel.


@pytest.fixture
def pair(apart):
    """`home`, where the user is, and `there`, where jobs run; each knows the other by its operator's word."""
    return know_each_other(apart.site("home", "--sandbox", "none"), apart.site("there", "--sandbox", "none", workers=2))


def know_each_other(home, there):
    for site, other in ((home, there), (there, home)):
        site.stop()
        site.options += ["--peer", f"{other.name}={other.fingerprint}@{other.url}"]
    home.start()
    there.start()
    await_workers(there)
    return home, there


def await_workers(site):
    """A site makes no offers before its workers are there."""
    eventually(lambda: site.api("GET", "/v1/workers").json["workers"], about=f"the workers of {site.name}")


def submit(home, script, **fields):
    answer = home.api("POST", "/v1/jobs", {"at": "there", "command": ["sh", "-c", script], **fields})
    assert answer.code == 201, answer
    return answer.json["id"]


def await_success(home, job):
    """Waits for the job's end; returns what its tasks wrote."""

    def is_over():
        shown = home.api("GET", f"/v1/jobs/{job}").json
        return shown if shown["state"] in ("succeeded", "failed", "cancelled") else None

    shown = eventually(is_over, WAIT_SECONDS, f"the end of job {job}")
    assert shown["state"] == "succeeded", (shown, home.api("GET", f"/v1/jobs/{job}/why").json)
    return [home.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body.decode() for index in range(shown["tasks"]["succeeded"])]


def await_why(home, job, *words):
    """Waits until the reason why the job is not done has all these words."""

    def has_reason():
        why = home.api("GET", f"/v1/jobs/{job}/why").json["why"]
        return why if all(word in why for word in words) else None

    return eventually(has_reason, WAIT_SECONDS, f"{words} in why")


def jobs_of(site):
    return site.api("GET", "/v1/jobs").json["jobs"]


def lines(path):
    return sorted(path.read_text().splitlines()) if path.exists() else []


@pytest.mark.parametrize("ways", ["both ways", "to there", "from there"])
def test_a_partition_in_the_middle_of_a_job_loses_nothing_and_runs_nothing_twice(pair, apart, ways):
    home, there = pair
    gate, runs = apart.folder / "gate", apart.folder / "runs"
    job = submit(home, f"echo {{index}} >> {runs}; test {{index}} = 0 || while [ ! -e {gate} ]; do sleep 0.05; done; echo {{index}}", count=3)
    eventually(lambda: home.api("GET", f"/v1/jobs/{job}").json["tasks"]["succeeded"] == 1 and len(lines(runs)) == 3, about="the first result")
    if ways != "from there":
        apart.network.cut_one_way(home.node, there.node)
    if ways != "to there":
        apart.network.cut_one_way(there.node, home.node)
    gate.touch()
    eventually(lambda: jobs_of(there)[0]["state"] == "succeeded", about="the end there, where nobody hears of the partition")
    apart.network.heal()
    assert await_success(home, job) == ["0\n", "1\n", "2\n"]
    assert lines(runs) == ["0", "1", "2"] and len(jobs_of(there)) == 1


def test_a_submission_whose_answer_is_lost_is_one_job_there(pair, apart):
    """The request arrives on an open connection, the answer does not: home has to ask again, with the same key."""
    home, there = pair
    runs = apart.folder / "runs"
    await_success(home, submit(home, "true"))
    apart.network.cut_one_way(there.node, home.node)
    job = submit(home, f"echo run >> {runs}; echo done")
    eventually(lambda: lines(runs), about="the run there")
    await_why(home, job, "there", "does not answer")
    apart.network.heal()
    assert await_success(home, job) == ["done\n"]
    assert lines(runs) == ["run"] and len(jobs_of(there)) == 2


def test_two_submissions_with_one_key_are_one_job_there(pair, apart):
    home, there = pair
    runs = apart.folder / "runs"
    job = {"at": "there", "command": ["sh", "-c", f"echo run >> {runs}"]}

    def post(_):
        return home.api("POST", "/v1/jobs", job, headers={"Idempotency-Key": "once"}).json["id"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(post, range(8)))
    assert len(numbers) == 1
    await_success(home, numbers.pop())
    assert lines(runs) == ["run"] and len(jobs_of(there)) == 1


def test_a_site_with_another_key_gets_no_job_and_why_says_so(pair, apart):
    home, there = pair
    gate, runs = apart.folder / "gate", apart.folder / "runs"
    job = submit(home, f"echo run >> {runs}; while [ ! -e {gate} ]; do sleep 0.05; done; echo done")
    eventually(lambda: lines(runs), about="the run there")
    there.kill()
    for name in ("key.pem", "certificate.pem"):
        (there.directory / name).rename(there.directory / f"{name}.old")
    there.start()
    await_why(home, job, "there", "key")
    refused = home.api("POST", "/v1/jobs", {"at": "there", "command": ["true"]})
    assert refused.code == 409 and "there: the server's key is not the one that is known for it" in refused.json["detail"]
    there.kill()
    for name in ("key.pem", "certificate.pem"):
        (there.directory / f"{name}.old").rename(there.directory / name)
    there.start()
    gate.touch()
    assert await_success(home, job) == ["done\n"]
    assert lines(runs) == ["run"] and len(jobs_of(there)) == 1


def test_a_home_restored_from_an_old_backup_gets_no_results_of_jobs_it_forgot(pair, apart):
    """Numbers of jobs are given a second time then; the other site still has those of before."""
    home, there = pair
    take_backup(home, apart.folder / "backup")
    before = submit(home, "echo forgotten")
    assert await_success(home, before) == ["forgotten\n"]
    restore(home, apart.folder / "backup")
    again = submit(home, "echo new")
    assert again == before
    assert await_success(home, again) == ["new\n"]


@pytest.mark.skipif(not LIBFAKETIME, reason="libfaketime is not installed: ./dev setup check")
def test_jobs_travel_between_clocks_that_are_hours_apart(federation):
    home = federation.site("home", "--sandbox", "none", environment=clock("-1h"))
    there = federation.site("there", "--sandbox", "none", workers=1, environment=clock("+1h"))
    for site, other, offset in ((home, there, "-1h"), (there, home, "+1h")):
        site.stop()
        site.options += ["--peer", f"{other.name}={other.fingerprint}@{other.url}"]
        site.start(clock(offset))
    await_workers(there)
    assert await_success(home, submit(home, "echo done")) == ["done\n"]


# Replicas.


@pytest.mark.parametrize("victim", ["source", "target", "way"])
def test_a_replica_under_way_survives_what_happens_to_either_end(apart, victim):
    hub = apart.hub("hub", "--join", "open")
    ocean = apart.site("ocean")
    land = apart.site("land")
    content = os.urandom(10 << 20).hex()
    ocean.add_data("t:large", text=content)
    for site in (ocean, land):
        site.add_hub(hub)
    await_names(land, "t:large", "ocean")
    apart.network.slow(ocean.node)
    order = land.api("POST", "/v1/transfers", {"id": "t:large", "to": None, "from": None})
    assert order.code == 202, order

    def transfer():
        return land.api("GET", f"/v1/transfers/{order.json['id']}").json

    eventually(lambda: 0 < transfer()["bytes_done"] < len(content), about="the first bytes")
    if victim == "source":
        ocean.kill()
        assert "ocean" in eventually(lambda: transfer()["problem"], about="the reason why it does not go on")
        ocean.start()
    elif victim == "target":
        land.kill()
        assert not json.loads(ocean("resolve", "t:large", "--anew", "--json").stdout)["locations"][1:]
        land.start()
    else:
        apart.network.cut(ocean.node, land.node)
        seen = []
        eventually(lambda: seen.append(transfer()["bytes_done"]) or (len(seen) > 100 and seen[-100] == seen[-1]), about="the silence")
        apart.network.heal()
    apart.network.quicken(ocean.node)
    ended = eventually(lambda: (lambda now: now if now["state"] in ("done", "failed") else None)(transfer()), WAIT_SECONDS, "the end of the copy")
    assert ended["state"] == "done" and ended["bytes_done"] == len(content), ended
    await_names(hub, "t:large", "ocean", "land")
    (root,) = land.api("GET", path_of("t:large", "?forward=false")).json["locations"][0]["roots"]
    assert (pathlib.Path(root["path"]) / "file.txt").read_text() == content
