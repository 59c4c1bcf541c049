"""Where is this data? Asked of real sites and hubs, with hubs dead, lying, silent or full of garbage."""

import copy
import json
import os
import stat
import time

import pytest
from conftest import eventually
from scripted_hub import ScriptedHub

DOI = "doi:10.1234/waves"
ALIAS = "ark:/12345/x-1"  # Its normal form is ark:12345/x1.
BOUND_SECONDS = 60  # For what takes 3 s on a machine at rest.


def path_of(identifier, query=""):
    return "/v1/resolve/" + identifier.replace(":", "%3A").replace("/", "%2F") + query


def add_waves(site, text="waves"):
    """The site registers a dataset with two aliases."""
    folder = site.user.folder / f"waves-{site.name}"
    folder.mkdir(exist_ok=True)
    (folder / "waves.txt").write_text(text)
    site("data", "add", DOI, folder, "--alias", ALIAS, "--alias", "t:waves", "--title", "Waves")


def ask(site, identifier=DOI, query="", **options):
    return site.api("GET", path_of(identifier, query), token=options.pop("token", False), **options)


def names(answer):
    return [location["name"] for location in answer["locations"]]


def await_names(site, wanted, identifier=DOI, query=""):
    """Waits until the site answers with these locations, in any order; returns the answer."""

    def is_there():
        answer = ask(site, identifier, query)
        return answer.json if answer.code == 200 and sorted(names(answer.json)) == sorted(wanted) else None

    return eventually(is_there, BOUND_SECONDS, f"{wanted} at {site.name}")


@pytest.fixture
def waves(federation):
    """A hub, ocean with the data, and ice that has none."""
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ice = federation.site("ice")
    add_waves(ocean)
    ocean.add_hub(hub)
    ice.add_hub(hub)
    await_names(hub, ["ocean"])
    return hub, ocean, ice


@pytest.fixture
def liar(folder):
    hub = ScriptedHub(folder / "liar").start()
    yield hub
    hub.stop()


def test_every_replica_is_found_by_every_alias_from_anywhere(waves):
    hub, ocean, ice = waves
    add_waves(ice)
    await_names(hub, ["ocean", "ice"])
    for site in waves:
        for identifier in (DOI, "https://doi.org/10.1234/WAVES", ALIAS, "ark:12345/x1", "t:waves"):
            answer = await_names(site, ["ocean", "ice"], identifier, "?anew=true")
            assert answer["id"] == DOI and [location["rank"] for location in answer["locations"]] == [1, 2]
    assert names(ask(ocean, query="?anew=true").json)[0] == "ocean"
    assert names(ask(ice, query="?anew=true").json)[0] == "ice"
    assert ask(hub).json["source"] == "index" and ask(ocean, query="?anew=true").json["source"] == "hub"
    assert ask(ocean, query="?forward=false").json["source"] == "own"


def test_what_a_hub_has_itself_is_in_its_index_too(waves):
    hub, _, _ = waves
    hub.user.folder.joinpath("more").mkdir()
    hub("data", "add", "t:more", hub.user.folder / "more", "--title", "More")
    assert ask(hub, "t:more").json["source"] == "own"
    add_waves(hub)
    answer = await_names(hub, ["hub", "ocean"])
    assert answer["source"] == "index" and answer["locations"][0]["name"] == "hub"
    (roots,) = [location["roots"] for location in ask(hub, token=True).json["locations"] if "roots" in location]
    assert [root["path"] for root in roots] == [str(hub.user.folder / f"waves-{hub.name}")]
    # A name that another site alone gives it leads to the hub's own replica, which nothing but the index can tell.
    hub("data", "remove", DOI)
    folder = hub.user.folder / f"waves-{hub.name}"
    hub("data", "add", DOI, folder, "--title", "Waves")
    await_names(hub, ["hub", "ocean"], "t:waves")


def test_the_command_shows_the_ranking_and_who_signed(waves):
    hub, ocean, ice = waves
    shown = ice("resolve", ALIAS).stdout.splitlines()
    assert shown[0].split() == ["SITE", "STATE", "TIER", "LIVENESS", "DISTANCE", "LOAD", "TTL", "SIZE", "CONTENT", "SIGNED", "BY", "PATH"]
    assert shown[1].startswith("ocean") and " available " in shown[1] and " online " in shown[1]
    assert ocean.fingerprint[:23] in shown[1] and "300 s" in shown[1]
    assert str(ocean.user.folder) in ocean("resolve", DOI).stdout  # Its own files.
    answer = ice.json("resolve", DOI)
    assert answer["problems"] == [] and answer["locations"][0]["entry"]["site"] == ocean.fingerprint
    asked = ice.user.json("resolve", DOI, "--hub", hub.url)
    assert names(asked) == ["ocean"] and asked["source"] == "index"


def test_only_who_has_a_token_learns_where_files_lie(waves):
    _, ocean, _ = waves
    (location,) = ask(ocean, token=True).json["locations"]
    assert location["roots"] == [{"path": str(ocean.user.folder / "waves-ocean"), "mount": "", "kind": "folder"}]
    assert b"roots" not in ask(ocean).body


def test_what_is_asked_wrongly_is_refused(waves):
    hub, _, _ = waves
    for path in (path_of(DOI, "?forward=maybe"), path_of(DOI, "?color=blue"), path_of("no identifier")):
        assert hub.api("GET", path.replace(" ", "%20"), token=False).code == 400
    assert hub.api("GET", path_of(DOI), token="lode_" + "x" * 43).code == 401


def test_any_one_hub_alive_is_enough(federation, waves):
    hub, ocean, ice = waves
    other = federation.hub("other", "--join", "open")
    ocean.add_hub(other)
    ice.add_hub(other)
    await_names(other, ["ocean"])
    hub.kill()
    assert names(await_names(ice, ["ocean"], query="?anew=true")) == ["ocean"]
    hub.start()
    other.kill()
    assert names(await_names(ice, ["ocean"], query="?anew=true")) == ["ocean"]


def test_with_all_hubs_dead_remembered_answers_count_and_sites_go_on(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean", workers=1)
    ice = federation.site("ice")
    add_waves(ocean)
    ocean.add_hub(hub)
    ice.add_hub(hub)
    await_names(ice, ["ocean"], query="?anew=true")
    hub.kill()
    answer = eventually(lambda: ask(ice, query="?anew=true").json if ask(ice, query="?anew=true").code == 200 else None)
    assert (answer["source"], names(answer)) == ("memory", ["ocean"]) and answer["age_seconds"] >= 0
    shown = ice("resolve", DOI, "--anew")
    assert "old" in shown.stderr and shown.stdout.splitlines()[1].startswith("ocean")
    assert names(ask(ocean).json) == ["ocean"]
    assert "not answered by hub (" in ocean("resolve", DOI, "--anew").stderr
    assert ocean("run", "--data", f"{DOI}=waves", "--", "cat", "/data/waves/waves.txt").stdout == "waves"
    unknown = ask(ice, "doi:10.1234/none")
    assert unknown.code == 503 and "hub (" in unknown.json["detail"]


def test_a_client_whose_site_is_away_asks_the_hubs_that_it_knows_and_then_its_memory(waves):
    hub, _, ice = waves
    ice("resolve", DOI)
    cache = ice.user.home / ".cache" / "lode"
    kept = list((cache / "answers").iterdir())
    assert len(kept) == 1 and [stat.S_IMODE(os.stat(path).st_mode) for path in [*kept, cache / "hubs"]] == [0o600, 0o600]
    ice.kill()
    by_hub = ice("resolve", ALIAS)
    assert "hub hub answers instead of the site" in by_hub.stderr and by_hub.stdout.splitlines()[1].startswith("ocean")
    unknown = ice("resolve", "doi:10.1234/none", status=1)
    assert "doi:10.1234/none" in unknown.stderr and unknown.stdout == ""
    hub.kill()
    document = json.loads(kept[0].read_text())
    document["answered_us"] -= 10 * 60 * 1000000
    kept[0].write_text(json.dumps(document))
    by_memory = ice("resolve", DOI)
    assert "this answer is 10 minutes old" in by_memory.stderr and by_memory.stdout.splitlines()[1].startswith("ocean")
    assert ice("resolve", "doi:10.1234/none", status=1).stdout == ""
    # What is remembered is not believed either.
    document["answer"]["locations"][0]["entry"]["size_bytes"] += 1
    kept[0].write_text(json.dumps(document))
    assert ice("resolve", DOI, status=1).stdout == ""


def test_an_unknown_identifier_is_refused_in_bounded_time_naming_who_was_asked(waves):
    hub, _, ice = waves
    begun = time.monotonic()
    shown = ice("resolve", "doi:10.1234/none", status=1)
    assert "doi:10.1234/none" in shown.stderr and "asked: hub" in shown.stderr
    assert ask(ice, "doi:10.1234/none").code == 404 and ask(hub, "doi:10.1234/none").code == 404
    assert time.monotonic() - begun < BOUND_SECONDS


def test_a_site_that_is_down_still_resolves_with_that_said(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    add_waves(ocean)
    ocean.add_hub(hub)
    await_names(hub, ["ocean"])
    ocean.kill()
    location = eventually(lambda: next((each for each in ask(hub).json["locations"] if each["liveness"] != "up"), None), 120)
    assert location["name"] == "ocean" and location["heard_seconds"] >= 3


def altered(location):
    location["entry"]["size_bytes"] += 1
    return location


def with_another_key(location):
    location["public_key"] = "AAAA" * 10 + "AAA="
    return location


LIES = {"altered": (altered, "signature"), "forged": (with_another_key, "key")}


def says(location):
    return lambda request: (200, {"id": DOI, "ttl_seconds": 300, "age_seconds": 0, "source": "index", "locations": [location]})


@pytest.mark.parametrize("lie", LIES)
def test_a_hub_that_lies_is_told_of_by_site_and_client(federation, liar, lie):
    ocean = federation.site("ocean")
    ice = federation.site("ice")
    add_waves(ocean)
    (honest,) = ask(ocean).json["locations"]
    tell, why = LIES[lie]
    liar.says = says(tell(copy.deepcopy(honest)))
    ice.add_hub(liar)
    refused = ask(ice)
    assert refused.code >= 400 and "liar (its answer does not hold)" in refused.json["detail"]
    shown = ice("resolve", DOI, "--hub", liar.url, status=1)
    for part in ("dropped", "site ocean (" + ocean.fingerprint, "epoch 1, serial 1", why):
        assert part in shown.stderr, shown.stderr
    # The next hub is asked, and what was dropped is told beside its answer.
    hub = federation.hub("hub", "--join", "open")
    ocean.add_hub(hub)
    await_names(hub, ["ocean"])
    ice.add_hub(hub)
    assert names(await_names(ice, ["ocean"], query="?anew=true")) == ["ocean"]


def test_a_good_entry_about_something_else_is_no_answer(federation, liar):
    ocean = federation.site("ocean")
    add_waves(ocean)
    (honest,) = ask(ocean).json["locations"]
    liar.says = says(honest)
    ice = federation.site("ice")
    ice.add_hub(liar)
    assert ask(ice, "doi:10.1234/other").code >= 400
    shown = ice("resolve", "doi:10.1234/other", "--hub", liar.url, status=1)
    assert "another dataset, " + DOI in shown.stderr


def test_an_old_entry_that_is_replayed_is_told_of_and_the_newer_one_stays(federation, liar):
    ocean = federation.site("ocean")
    ice = federation.site("ice")
    add_waves(ocean)
    (old,) = ask(ocean).json["locations"]
    (ocean.user.folder / "waves-ocean" / "more.txt").write_text("more")
    ocean("data", "verify", DOI, "--accept-changes")
    (new,) = ask(ocean).json["locations"]
    assert new["entry"]["serial"] > old["entry"]["serial"]
    liar.says = says(new)
    ice.add_hub(liar)
    assert ice.json("resolve", DOI)["source"] == "hub"
    liar.says = says(old)
    shown = ice("resolve", DOI, "--anew")
    seen = f"serial {old['entry']['serial']} is an old one: epoch 1, serial {new['entry']['serial']} was seen before"
    assert "hub liar (" in shown.stderr and seen in shown.stderr, shown.stderr
    answer = ask(ice, query="?anew=true").json
    assert answer["source"] == "memory" and answer["locations"][0]["entry"] == new["entry"]
    assert seen in answer["problems"][0]


def endless(request):
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Connection", "close")
    request.end_headers()
    request.close_connection = True
    try:
        while True:
            request.wfile.write(b'{"a":[' * 10000)
    except OSError:
        return None


def silent(request):
    """Until who asked has enough of it."""
    request.connection.settimeout(10 * BOUND_SECONDS)
    try:
        request.rfile.read(1)
    except OSError:
        pass
    request.close_connection = True


MANNERS = {
    "garbage": lambda request: (200, b"\x00\xff<html>"),
    "endless": endless,
    "silent": silent,
    "broken off": lambda request: request.break_off(),
    "deep": lambda request: (200, b"[" * 100000),
    "other JSON": lambda request: (200, {"locations": "here"}),
}


@pytest.mark.parametrize("manner", MANNERS)
def test_a_hub_without_manners_costs_bounded_time_and_no_answer(federation, liar, manner):
    ice = federation.site("ice")
    liar.says = MANNERS[manner]
    ice.add_hub(liar)
    begun = time.monotonic()
    answer = ask(ice)
    assert answer.code >= 400 and "liar (" in answer.json["detail"], answer
    assert ask(ice, "t:unknown").code >= 400
    ice("resolve", DOI, "--hub", liar.url, status=1)
    assert time.monotonic() - begun < BOUND_SECONDS
    assert ice.api("GET", "/v1/site").code == 200


def test_a_request_on_behalf_is_not_passed_on(federation, liar):
    ice = federation.site("ice")
    ice.add_hub(liar)
    assert ask(ice, query="?forward=false").code == 404 and liar.asked == 0
    assert ask(ice).code == 404 and liar.asked == 1
    assert [path for method, path in liar.seen if "resolve" in path] == [path_of(DOI, "?forward=false")]


def test_how_far_a_site_is_shows_the_first_time_that_a_user_asks(waves):
    _, _, ice = waves

    def distance(**options):
        return ask(ice, query="?anew=true", **options).json["locations"][0]["rtt_ms"]

    assert distance(token=False) is None, "who has no token makes the site call nobody"
    # Half a second is enough but for a busy machine, and the site goes on measuring meanwhile.
    eventually(lambda: ice("resolve", DOI).stdout.splitlines()[1].split()[4] != "-", about="the distance")
    assert distance(token=False) > 0
