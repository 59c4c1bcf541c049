"""A site that is asked for offers, or for data, and answers slowly, with garbage, or without an end: it costs bounded time and memory, and is named."""

import time

import pytest
from conftest import eventually
from scripted_hub import ScriptedHub
from test_federation_peers import canonical, chain
from test_resolve import BOUND_SECONDS, MANNERS, ask

TIME = "2026-11-21T10:00:00Z"


def drip(request):
    """A byte now and then, which no limit on silence cuts off, until who asked has enough of it."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b" ")
            request.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


OFFER_WORDS = {"garbage": "cannot be read", "deep": "cannot be read", "other JSON": "cannot be read", "endless": "larger than", "silent": "in time",
               "drip": "in time", "broken off": "cannot reach"}
STRANGE = {**MANNERS, "drip": drip}
ODD = {manner: "t:" + manner.replace(" ", "-") for manner in STRANGE}  # A dataset for each, and t:odd.


@pytest.fixture
def odd(federation, folder):
    """A scripted site that a hub knows, with its signed word that it has t:odd and those of ODD, and home, a real one."""
    hub = federation.hub("hub", "--join", "open")
    home = federation.site("home", workers=1)
    home.add_hub(hub)
    odd = ScriptedHub(folder / "odd", "odd").start()
    odd.directory = odd.folder
    statement = odd.sign({"kind": "site", "name": "odd", "public_key": odd.public_key, "urls": [odd.url], "version": "0.1.0", "protocol": 1,
                          "is_hub": False, "time": TIME})
    entries = [odd.sign({"kind": "dataset", "epoch": 1, "serial": serial, "previous": 0, "id": identifier, "aliases": [], "title": "", "time": TIME,
                         "digest": "sha256:" + "1" * 64, "file_count": 1, "size_bytes": 10, "tier": "online", "state": "available"})
               for serial, identifier in enumerate(["t:odd", *ODD.values()], 1)]
    head = odd.sign({"kind": "head", "epoch": 1, "serial": len(entries), "head": chain(*entries), "time": TIME})
    assert hub.peer_call("POST", "/v1/federation/announce", statement, by=odd).code == 200
    log = b"".join(canonical(each) + b"\n" for each in (head, *entries))
    assert hub.peer_call("POST", f"/v1/federation/logs/{odd.fingerprint}", log, by=odd).code == 200
    eventually(lambda: home.json("workers")["workers"], about="a worker")
    eventually(lambda: ask(home, "t:odd", "?anew=true").code == 200, about="t:odd at home")
    yield odd, home
    odd.stop()


def is_small(site):
    return site.user.json("status", "--site", site.url)["memory_bytes"] < 200 << 20


@pytest.mark.parametrize("manner", OFFER_WORDS)
def test_a_site_that_answers_badly_makes_no_offer(odd, manner):
    odd, home = odd
    odd.on("POST", "/v1/federation/offers", STRANGE[manner])
    begun = time.monotonic()
    plan = home("plan", "--stage", "never", "--data", "t:odd", "--", "true", status=1)
    assert time.monotonic() - begun < BOUND_SECONDS
    assert "odd: " in plan.stderr and OFFER_WORDS[manner] in plan.stderr, plan.stderr
    assert odd.count("POST", "/v1/federation/offers") == 1 and is_small(home)


def test_a_source_that_answers_badly_gives_no_copy(odd):
    """All at once: a list of files may take a minute, which some use up."""
    odd, home = odd
    for manner, identifier in ODD.items():
        odd.on("GET", rf"/v1/datasets/{identifier.replace(':', '%3A')}/.*", STRANGE[manner])
    for manner in sorted(ODD, key=lambda manner: manner not in ("silent", "drip")):
        home("data", "replicate", ODD[manner], "--detach")

    def problems():
        transfers = {each["dataset"]: each for each in home.json("transfers")["transfers"]}
        return {manner: transfers[identifier]["problem"] for manner, identifier in ODD.items()}

    eventually(lambda: all("odd" in problem for problem in problems().values()), 2 * BOUND_SECONDS, "the word about each source")
    assert is_small(home), problems()
    for transfer in home.json("transfers")["transfers"]:
        home("transfers", "cancel", str(transfer["id"]), status=None)  # Some have been given up.
    # Those that wait for a list now, which may take a minute, too.
    eventually(lambda: {each["state"] for each in home.json("transfers")["transfers"]} <= {"cancelled", "failed"}, BOUND_SECONDS / 2, "their end")
    assert all(ask(home, identifier, "?forward=false").code == 404 for identifier in ODD.values())
