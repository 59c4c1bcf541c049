"""A hub that has only a part of the logs says so, and who asks it heeds that."""

import concurrent.futures
import os
import signal

import pytest
from conftest import eventually
from test_resolve import BOUND_SECONDS, DOI, add_waves, ask, await_names, names

DATASETS = 1000  # Of three names each.
HEARTBEAT_SECONDS = 10  # Of the hub: a site that does not come is given up after six.


def name_of(number, alias=""):
    return f"t:name-{number:04}{alias}"


def register_many(site, folder):
    """The site registers thousands of names, and has entered all of them into its log."""

    def register(number):
        answer = site.api("POST", "/v1/datasets", {"id": name_of(number), "paths": [str(folder)], "aliases": [name_of(number, "-a"), name_of(number, "-b")]})
        assert answer.code == 201, answer.json

    folder.mkdir()
    (folder / "file.txt").write_text("content")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(DATASETS)))
    eventually(lambda: ask(site, name_of(DATASETS - 1), "?forward=false").code == 200, 2 * BOUND_SECONDS, "the last of the names")


@pytest.fixture
def behind(federation, folder):
    """A hub that was started anew after a site, which is silent now, has registered thousands of names; and a site that asks. "silent" is ended by the function."""
    hub = federation.hub("hub", "--join", "open", heartbeat=HEARTBEAT_SECONDS)
    ocean = federation.site("ocean")
    ice = federation.site("ice")
    add_waves(ocean)
    ocean.add_hub(hub)
    ice.add_hub(hub)
    await_names(hub, ["ocean"])
    eventually(lambda: "catching_up" not in ask(hub).json, BOUND_SECONDS, "a hub that has all")
    hub.stop()
    register_many(ocean, folder / "many")
    os.kill(ocean.process.pid, signal.SIGSTOP)
    try:
        hub.start()
        # All that were heard before are expected, until they have said how much they have.
        eventually(lambda: ask(hub).json["catching_up"] == 1, BOUND_SECONDS, "nobody expected but ocean")
        yield hub, ocean, ice
    finally:
        os.kill(ocean.process.pid, signal.SIGCONT)


def test_a_hub_says_that_it_is_catching_up_until_it_has_all(behind):
    hub, ocean, ice = behind
    first, last = name_of(0), name_of(DATASETS - 1, "-b")
    # What it knows it answers, and what it does not know may be known: both say so.
    for site in (hub, ice):
        known = ask(site, query="?anew=true").json
        assert names(known) == ["ocean"] and known["catching_up"] == 1 and known["ttl_seconds"] == 30
        for name in (first, last):
            unknown = ask(site, name)
            assert unknown.code == 404 and unknown.json["catching_up"] == 1
            assert "lacks entries of the logs of 1 site" in unknown.json["detail"] and "try again in a moment" in unknown.json["fix"]
    assert "this answer may be incomplete" in ice("resolve", DOI, "--anew").stderr
    assert "still lacks entries of the logs of 1 site" in ice("resolve", last, status=1).stderr
    shown = hub("sites")
    assert "this hub still lacks entries of the logs of 1 site" in shown.stderr
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("ocean")]
    assert "its log is not all here yet" in row
    eventually(lambda: "catching up" in ice("hub", "list").stdout, BOUND_SECONDS, "the word of the hub to a site that asks it")
    os.kill(ocean.process.pid, signal.SIGCONT)

    def has_all():
        answers = [ask(hub, name) for name in (last, first)]
        # Never does it say as one who knows all that there is none.
        assert not [answer for answer in answers if answer.code == 404 and "catching_up" not in answer.json]
        return all(answer.code == 200 and "catching_up" not in answer.json for answer in answers)

    eventually(has_all, 2 * BOUND_SECONDS, "a hub that has caught up")
    for number in range(0, DATASETS, 97):
        assert names(ask(hub, name_of(number, "-a")).json) == ["ocean"]
    # That there was none was not remembered where it was asked.
    assert names(ask(ice, last).json) == ["ocean"] and names(ask(ice, first).json) == ["ocean"]
    assert "lacks" not in hub("sites").stderr
    assert "incomplete" not in ice("resolve", last).stderr
    eventually(lambda: "catching up" not in ice("hub", "list").stdout, BOUND_SECONDS, "the word of the hub that it has all")


def test_another_hub_is_asked_beside_one_that_is_catching_up(federation, behind):
    hub, ocean, ice = behind
    other = federation.hub("other", "--join", "open", heartbeat=HEARTBEAT_SECONDS)
    ice.add_hub(other)
    lake = federation.site("lake")
    add_waves(lake)
    lake.add_hub(other)
    await_names(other, ["lake"])
    eventually(lambda: "catching_up" not in ask(other).json, BOUND_SECONDS, "a hub that has all")
    answer = eventually(lambda: (lambda found: found if sorted(names(found)) == ["lake", "ocean"] else None)(ask(ice, query="?anew=true").json), BOUND_SECONDS, "both")
    assert answer["source"] == "hub"
