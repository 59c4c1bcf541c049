"""Two sites say different content of one identifier."""

import json

import pytest
from conftest import eventually


@pytest.fixture
def rivals(federation):
    """A hub, home without data, and ocean and land, which both say that they have t:sea, with different content."""
    hub = federation.hub("hub", "--join", "open")
    ocean, land = (federation.site(name, workers=1) for name in ("ocean", "land"))
    home = federation.site("home")
    for member in (ocean, land, home):
        member.add_hub(hub)
    ocean.add_data("t:sea", text="salt\n")
    land.add_data("t:sea", text="sand and salt\n")
    eventually(lambda: len(resolved(home)["locations"]) == 2, about="both replicas")
    for member in (ocean, land):
        eventually(lambda: member.json("workers")["workers"], about="a worker")
    return {"hub": hub, "ocean": ocean, "land": land, "home": home}


def resolved(home):
    answer = home("resolve", "t:sea", "--anew", "--json", status=None)
    return json.loads(answer.stdout) if answer.returncode == 0 else {"locations": []}


def digest_of(site):
    return site.json("data", "show", "t:sea")["digest"]


def test_resolve_shows_the_conflict_and_who_said_what_first(rivals):
    home = rivals["home"]
    assert resolved(home)["conflict"] is True
    shown = home("resolve", "t:sea", "--anew")
    lines = shown.stderr.splitlines()
    assert "different content of t:sea" in lines[0]
    assert f"ocean says {digest_of(rivals['ocean'])} since 20" in lines[1]
    assert f"land says {digest_of(rivals['land'])} since 20" in lines[2]
    assert digest_of(rivals["land"])[:23] in shown.stdout


def test_a_job_is_refused_unless_it_names_the_digest_or_the_site(rivals):
    home, ocean, land = rivals["home"], rivals["ocean"], rivals["land"]
    command = ("--", "sh", "-c", "cat /data/sea/*")
    for what in ("--data", "--over"):
        refused = home("run", what, "t:sea", *command, status=None)
        assert refused.returncode != 0 and "different content of t:sea" in refused.stderr and "--at SITE" in refused.stderr
    assert json.loads(home("jobs", "--json").stdout)["jobs"] == []
    assert home("plan", "--data", "t:sea", *command, status=None).returncode != 0
    assert home("run", "--data", f"t:sea@{digest_of(land)}", *command).stdout == "sand and salt\n"
    assert home("run", "--data", f"t:sea@{digest_of(ocean)}", *command).stdout == "salt\n"
    assert home("run", "--data", "t:sea", "--at", "land", *command).stdout == "sand and salt\n"
    assert home("run", "--data", "t:sea", "--at", "ocean", *command).stdout == "salt\n"


def test_what_is_here_is_not_in_doubt_here(rivals):
    command = ("--", "sh", "-c", "cat /data/sea/*")
    assert rivals["ocean"]("run", "--data", "t:sea", *command).stdout == "salt\n"
    assert rivals["ocean"]("run", "--data", "t:sea", "--at", "land", *command).stdout == "sand and salt\n"


def test_a_replica_is_ordered_from_the_site_that_is_named(rivals):
    hub, home, ocean, land = (rivals[name] for name in ("hub", "home", "ocean", "land"))
    # At once, here and at another site, with who says what and the way out; nothing is on order then.
    for to in ((), ("--to", "hub")):
        refused = home("data", "replicate", "t:sea", *to, status=1)
        assert "different content of t:sea" in refused.stderr and "@sha256:" in refused.stderr and "--from SITE" in refused.stderr
        assert f"ocean says {digest_of(ocean)[:23]}" in refused.stderr and f"land says {digest_of(land)[:23]}" in refused.stderr
    assert home.json("transfers")["transfers"] == hub.json("transfers")["transfers"] == []
    nobody = "sha256:" + "0" * 64
    home("data", "replicate", f"t:sea@{digest_of(ocean)}", "--to", "hub")
    assert digest_of(hub) == digest_of(ocean)
    other = hub("data", "replicate", f"t:sea@{nobody}", status=1)
    assert f"here with other content, {digest_of(ocean)}" in other.stderr
    assert home("data", "replicate", "t:sea", "--from", "land").returncode == 0
    assert digest_of(home) == digest_of(land)


def test_data_that_a_job_names_by_its_content_is_brought_to_it(rivals, federation):
    land = rivals["land"]
    desk = federation.site("desk", workers=1)
    desk.add_hub(rivals["hub"])
    eventually(lambda: desk.json("workers")["workers"], about="a worker")
    moved = desk("run", "--data", f"t:sea@{digest_of(land)}", "--at", "desk", "--", "sh", "-c", "cat /data/sea/*")
    assert moved.stdout == "sand and salt\n" and digest_of(desk) == digest_of(land)


def test_a_site_that_nobody_accepted_casts_no_doubt_on_members(federation):
    hub = federation.hub("hub")
    ocean = federation.site("ocean", workers=1)
    stranger = federation.site("stranger")
    home = federation.site("home")
    for member in (ocean, stranger, home):
        member.add_hub(hub)
    for name in ("ocean", "home"):
        eventually(lambda: name in hub.sites(), about=f"{name} at the hub")
        hub("sites", "accept", name)
    ocean.add_data("t:sea", text="salt\n")
    stranger.add_data("t:sea", text="other\n")
    eventually(lambda: len(resolved(home)["locations"]) == 2, about="both replicas")
    eventually(lambda: any(each["standing"] == "member" for each in resolved(home)["locations"]), about="the standing")
    assert resolved(home)["conflict"] is False
    run = ("run", "--data", "t:sea", "--", "sh", "-c", "cat /data/sea/*")
    eventually(lambda: home(*run, status=None).returncode == 0, about="the job at ocean")
    assert home(*run).stdout == "salt\n"
