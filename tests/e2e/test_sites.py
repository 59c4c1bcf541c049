"""What `lode sites` shows at a site that is no hub: the federation as its hubs see it, verified, also with hubs that are dead, silent or lie."""

import json
import sqlite3
import time

import pytest
from conftest import eventually
from scripted_hub import ScriptedHub


@pytest.fixture
def liar(folder):
    hub = ScriptedHub(folder / "liar").start()
    yield hub
    hub.stop()


@pytest.fixture
def sites(federation):
    """A hub that runs jobs too, and the sites desk and ocean that have joined it."""
    hub = federation.hub("hub", "--join", "open", workers=1)
    desk = federation.site("desk")
    ocean = federation.site("ocean", workers=1)
    desk.add_hub(hub)
    ocean.add_hub(hub)
    return hub, desk, ocean


def overview(site):
    return site.json("sites")["overview"]


def await_up(site, name):
    """Waits until the site shows the other one as up, and those that run jobs with their worker; returns what it shows."""

    def is_up():
        seen = site.sites().get(name)
        return seen if seen and seen["state"] == "up" and (seen["cpus"] or name not in ("ocean", "hub")) else None

    return eventually(is_up, about=f"{name} at {site.name}")


def feed_of(hub):
    """What the hub tells of each site, by its name."""
    lines = hub.peer_call("GET", "/v1/federation/changes").body.splitlines()[1:]
    return {told["statement"]["name"]: told for told in map(json.loads, lines)}


def await_heartbeats(hub, name, count):
    """Waits until the hub has heard so many new ones; returns what it tells of the site then."""
    seen = {feed_of(hub)[name]["heartbeat"]["time"]}
    eventually(lambda: seen.add(feed_of(hub)[name]["heartbeat"]["time"]) or len(seen) > count, about="more heartbeats")
    return feed_of(hub)[name]


def test_a_site_shows_the_federation_as_its_hub_sees_it(sites):
    hub, desk, ocean = sites
    seen = await_up(desk, "ocean")
    at_hub = hub.sites()["ocean"]
    assert seen["by_hub"] == "hub" and seen["standing"] == "unknown" and seen["standing_by_hub"] == "member" and seen["is_vouched"]
    assert seen["cpus"] == at_hub["cpus"] and seen["load"] is not None and seen["version"] == at_hub["version"]
    assert abs(seen["clock_offset_seconds"] - at_hub["clock_offset_seconds"]) < 30 and at_hub["by_hub"] is None
    # The hub tells of itself, too.
    itself = await_up(desk, "hub")
    assert itself["by_hub"] is None and abs(itself["clock_offset_seconds"]) < 30 and not itself["is_vouched"]
    assert "desk" not in desk.sites()
    assert overview(desk) == {"source": "hub", "hub": "hub", "age_seconds": 0, "is_complete": True, "catching_up": 0, "problems": []}
    assert overview(hub) == {"source": "own", "hub": None, "age_seconds": 0, "is_complete": True, "catching_up": 0, "problems": []}
    shown = desk("sites")
    row = next(line for line in shown.stdout.splitlines() if line.startswith("ocean"))
    assert shown.stdout.split()[:8] == ["SITE", "STATE", "IN", "LOAD", "CPUS", "HEARD", "CLOCK", "BY"] and shown.stderr == ""
    assert " up " in row and " by hub " in row and ocean.fingerprint[:23] in row and " never" not in row
    # What the hub's operator decides is seen too, and a site that is silent grows old here as it does there.
    hub("sites", "deny", "ocean")
    eventually(lambda: desk.sites()["ocean"]["standing_by_hub"] == "denied" and not desk.sites()["ocean"]["is_vouched"], about="the hub's word")
    assert "denied by hub" in desk("sites").stdout
    ocean.kill()
    eventually(lambda: desk.sites()["ocean"]["state"] in ("stale", "down"), about="the silence")


def test_it_is_read_in_pages_and_not_for_the_pages_behind(sites, federation):
    hub, desk, _ = sites
    for name in ("lake", "river"):
        federation.site(name).add_hub(hub)
    eventually(lambda: desk.sites().keys() == {"hub", "ocean", "lake", "river"}, about="all sites")
    first = desk.api("GET", "/v1/sites?limit=3").json
    rest = desk.api("GET", f"/v1/sites?limit=3&cursor={first['next']}").json
    assert [site["name"] for site in first["sites"] + rest["sites"]] == ["hub", "lake", "ocean", "river"] and rest["next"] is None


def test_the_hub_is_asked_only_when_somebody_looks_and_not_by_each_of_them(federation, liar):
    desk = federation.site("desk", heartbeat=600)
    liar.on("GET", r"/v1/federation/changes(\?.*)?", lambda request: (200, b'{"cursor":"here"}\n'))
    desk.add_hub(liar)

    def asked():
        return [path for method, path in liar.seen if path.startswith("/v1/federation/changes")]

    assert asked() == []
    for _ in range(3):
        assert desk.sites().keys() == {"liar"} and overview(desk)["source"] == "hub"
    assert asked() == ["/v1/federation/changes?wait=0"]


def test_when_no_hub_answers_what_the_site_knows_is_shown_with_that_said(sites, liar):
    hub, desk, _ = sites
    await_up(desk, "ocean")
    hub.kill()
    shown = eventually(lambda: (said := desk("sites")).stderr and said, about="the hub's death")
    assert "ocean" in shown.stdout and "hub hub (" in shown.stderr and "no hub tells" in shown.stderr and "s ago" in shown.stderr
    said = overview(desk)
    assert said["source"] == "memory" and said["hub"] == "hub" and not said["is_complete"] and len(said["problems"]) == 1
    eventually(lambda: desk.sites()["ocean"]["state"] == "down", about="ocean, of which nobody tells any more")
    # After a restart too.
    desk.stop()
    desk.start()
    shown = desk("sites")
    assert "ocean" in shown.stdout and "no hub tells" in shown.stderr and "s ago" not in shown.stderr
    # A hub that never answers costs its part of the time, and the next one is asked.
    liar.on("GET", r"/v1/federation/changes(\?.*)?", lambda request: time.sleep(60))
    desk.add_hub(liar)
    eventually(lambda: any("liar" in problem for problem in overview(desk)["problems"]), about="the silent hub")
    began = time.monotonic()
    assert overview(desk)["source"] == "memory"
    assert time.monotonic() - began < 30
    hub.start()
    eventually(lambda: overview(desk)["source"] == "hub", about="the hub's return")
    await_up(desk, "ocean")


def test_two_hubs_and_three_sites_are_seen_from_each_of_them_while_one_hub_lives(federation):
    north = federation.hub("north", "--join", "open")
    south = federation.hub("south", "--join", "open")
    north.add_hub(south)
    desk, ocean, lake = (federation.site(name) for name in ("desk", "ocean", "lake"))
    for site, hubs in ((desk, (north, south)), (ocean, (north,)), (lake, (south,))):
        for hub in hubs:
            site.add_hub(hub)
    everybody = {"north", "south", "desk", "ocean", "lake"}

    def are_up(at):
        seen = at.sites()
        return seen if seen.keys() == everybody - {at.name} and {site["state"] for site in seen.values()} == {"up"} else None

    for at in (desk, ocean, lake, north, south):
        seen = eventually(lambda: are_up(at), about=f"everybody at {at.name}")
        assert all(site["clock_offset_seconds"] is not None for site in seen.values()), at.name
    # Whom a site hears itself it takes at its own word, whatever hubs say.
    assert [desk.sites()[hub]["by_hub"] for hub in ("north", "south")] == [None, None]
    assert south.sites()["lake"]["by_hub"] is None and south.sites()["ocean"]["by_hub"] == "north"
    assert ocean.sites()["lake"]["by_hub"] == "north"
    # One hub is enough, but for who is in no other's reach.
    north.kill()
    eventually(lambda: overview(desk)["hub"] == "south" and len(overview(desk)["problems"]) < 2, about="the other hub")
    eventually(lambda: desk.sites()["ocean"]["state"] == "down" and desk.sites()["north"]["state"] == "down", about="who is out of reach")
    seen = desk.sites()
    assert seen["lake"]["state"] == "up" and seen["lake"]["by_hub"] == "south" and seen.keys() == everybody - {"desk"}
    assert overview(desk)["source"] == "hub" and overview(desk)["is_complete"]
    # Without any the site says what it knows, and how old that is.
    south.kill()
    eventually(lambda: overview(desk)["source"] == "memory" and overview(desk)["age_seconds"] >= 1, about="what the site knows")
    shown = desk("sites")
    assert all(name in shown.stdout for name in ("north", "south", "ocean", "lake"))
    assert shown.stderr.count("does not tell") == 2 and "no hub tells" in shown.stderr
    assert overview(ocean)["source"] == "memory" and ocean.sites().keys() == everybody - {"ocean"}
    north.start()
    eventually(lambda: overview(desk)["hub"] == "north" and desk.sites()["ocean"]["state"] == "up", about="the hub's return")


@pytest.mark.parametrize("lie", ["altered", "altered heartbeat", "forged", "another's heartbeat", "another's key", "garbage"])
def test_a_hub_that_lies_is_named_and_nothing_of_the_lie_is_shown(sites, liar, federation, lie):
    hub, desk, ocean = sites
    lake = federation.site("lake")
    lake.add_hub(hub)
    await_up(hub, "lake")
    await_up(hub, "ocean")
    true = feed_of(hub)
    bad = json.loads(json.dumps(true["ocean"]))
    if lie == "altered":
        bad["statement"]["urls"] = ["https://elsewhere.example.org:7733"]
    elif lie == "altered heartbeat":
        bad["heartbeat"]["load"]["cpus"] = 4096
    elif lie == "forged":
        bad["statement"] = {**liar.sign({**bad["statement"], "signature": ""}), "site": ocean.fingerprint}
    elif lie == "another's key":
        bad["statement"]["public_key"] = liar.public_key
    elif lie == "another's heartbeat":
        bad["heartbeat"] = true["lake"]["heartbeat"]
    text = b"}{" if lie == "garbage" else json.dumps(bad).encode()
    lines = [text, json.dumps(true["lake"]).encode()]
    liar.on("GET", r"/v1/federation/changes(\?.*)?",
            lambda request: (200, b"\n".join([b'{"cursor":"x"}', *(lines if "cursor" not in request.path else []), b""])))
    lone = federation.site("lone")
    lone.add_hub(liar)
    shown = eventually(lambda: (said := lone("sites")).stderr and said, about="the lie")
    assert f"hub liar ({liar.fingerprint}) is not to be believed" in shown.stderr
    if lie != "garbage":
        assert ocean.fingerprint in shown.stderr
    # What holds of the same answer is none the worse; of the lie nothing is kept.
    assert lone.sites().keys() == {"liar", "lake"} and lone.sites()["lake"]["by_hub"] == "liar"
    assert lone.hubs()["liar"]["problem"] is None
    # It is said whenever somebody looks, not only when the hub first told it.
    for _ in range(3):
        assert any(liar.fingerprint in problem for problem in overview(lone)["problems"])
    # An honest hub is asked next, and what it tells is shown.
    lone.add_hub(hub)
    await_up(lone, "ocean")
    assert lone.sites()["ocean"]["by_hub"] == "hub" and lone.sites()["ocean"]["cpus"] < 4096
    with sqlite3.connect(lone.directory / "lode.db") as database:
        assert "elsewhere" not in str(database.execute("select * from peers_sites").fetchall())


@pytest.mark.parametrize("answer, reason", [
    (b"", "its feed of changes is empty"),
    (b"}{\n", "JSON"),
    (b'{"cursor":7}\n', "cursor"),
    (b"[" * (1 << 20) + b"\n", "JSON"),
    (b'{"cursor":"x"}\n' + b'{"statement":{}}\n' * 70000, "standing"),
    (b'{"cursor":"x","more":"' + b"x" * (4 << 20), "larger"),
], ids=["empty", "garbage", "no cursor", "brackets", "many lines", "endless"])
def test_an_answer_that_is_no_feed_is_refused_with_the_reason(federation, liar, answer, reason):
    desk = federation.site("desk")
    liar.on("GET", r"/v1/federation/changes(\?.*)?", lambda request: (200, answer))
    desk.add_hub(liar)
    said = overview(desk)
    assert said["source"] == "memory" and said["age_seconds"] is None and not said["is_complete"]
    assert len(said["problems"]) == 1 and liar.fingerprint in said["problems"][0] and reason in said["problems"][0]
    assert desk.sites().keys() == {"liar"} and desk.hubs()["liar"]["problem"] is None


def test_an_old_heartbeat_told_again_makes_no_silent_site_newer(sites, liar):
    hub, desk, _ = sites
    await_up(desk, "ocean")
    old = feed_of(hub)["ocean"]
    await_heartbeats(hub, "ocean", 2)
    eventually(lambda: overview(desk)["hub"] == "hub" and overview(desk)["is_complete"], about="that at desk")
    hub.kill()
    liar.on("GET", r"/v1/federation/changes(\?.*)?", lambda request: (200, b'{"cursor":"x"}\n' + json.dumps(old).encode() + b"\n"))
    desk.add_hub(liar)
    eventually(lambda: overview(desk)["hub"] == "liar", about="the liar's word")
    eventually(lambda: desk.sites()["ocean"]["state"] == "down", about="ocean, which nobody hears")


def test_what_a_hub_told_once_does_not_make_an_answer_about_data_old(sites):
    hub, desk, ocean = sites
    ocean.add_data("t:waves")
    await_up(desk, "ocean")

    def ask():
        answer = desk.api("GET", "/v1/resolve/t%3Awaves?anew=true", token=False)
        return answer.json["locations"][0] if answer.code == 200 else None

    eventually(ask, about="the data at the hub")
    # Nobody looks at the list of sites meanwhile: what the hub says with its answer counts.
    await_heartbeats(hub, "ocean", 6)
    assert ask()["liveness"] == "up" and ask()["heard_seconds"] < 3 and ask()["load"] is not None
    hub.kill()
    assert ask()["liveness"] != "never"
