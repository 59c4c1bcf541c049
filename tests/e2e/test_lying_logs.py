"""A hub that lies to another hub about a site's log: what it shows is refused, the entry and the liar are named, and an honest hub's copy is taken instead."""

import json

import pytest
from conftest import eventually
from scripted_hub import ScriptedHub
from test_federation_peers import canonical, has_log
from test_resolve import ask, names


@pytest.fixture
def liar(folder):
    hub = ScriptedHub(folder / "liar").start()
    yield hub
    hub.stop()


def change_title(head, entries, liar):
    return [head, *entries[:1], {**entries[1], "title": "another"}, *entries[2:]]


def drop_link(head, entries, liar):
    return [head, entries[0], *entries[2:]]


def sign_head_itself(head, entries, liar):
    return [{**liar.sign(head), "site": head["site"]}, *entries]


@pytest.mark.parametrize("lie, word", [(change_title, "serial 2"), (drop_link, "serial 3"), (sign_head_itself, "signature")])
def test_a_hub_that_lies_about_a_log_is_named_with_the_entry_and_another_hub_asked(federation, liar, lie, word):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    for number in range(3):
        ocean.add_data(f"t:{number}")
    eventually(lambda: has_log(hub, ocean, 3), about="the log at the honest hub")
    lines = hub.peer_call("GET", f"/v1/federation/logs/{ocean.fingerprint}?epoch=0&after=0").body.splitlines()
    statements = [json.loads(line) for line in lines]
    entries = [each for each in statements if each["kind"] == "dataset"]
    head = [each for each in statements if each["kind"] == "head"][-1]
    assert len(entries) == 3 and head["serial"] == 3
    told = hub.peer_call("GET", "/v1/federation/changes").body.splitlines()[1:]
    (of_ocean,) = [line for line in told if json.loads(line)["statement"]["name"] == "ocean"]
    answer = b"".join(canonical(each) + b"\n" for each in lie(head, entries, liar))
    liar.on("GET", r"/v1/federation/changes(\?.*)?", lambda request: (200, b'{"cursor":"x"}\n' + (b"" if "cursor" in request.path else of_ocean + b"\n")))
    liar.on("GET", rf"/v1/federation/logs/{ocean.fingerprint}(\?.*)?", lambda request: (200, answer))
    far = federation.hub("far", "--join", "open")
    far.add_hub(liar)
    problem = eventually(lambda: far.sites().get("ocean", {}).get("problem"), about="the word about the lie")
    assert f"by way of liar ({liar.fingerprint[:23]})" in problem and ocean.fingerprint in problem and word in problem, problem
    assert [ask(far, f"t:{number}", "?forward=false").code for number in range(3)] == [404] * 3
    # Another hub has the whole of it; the lie is over with that.
    far.add_hub(hub)
    eventually(lambda: has_log(far, ocean, 3), about="the log by way of the honest hub")
    assert far.sites()["ocean"]["problem"] is None
    assert [names(ask(far, f"t:{number}", "?forward=false").json) for number in range(3)] == [["ocean"]] * 3
