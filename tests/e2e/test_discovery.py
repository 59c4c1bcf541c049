"""Sites that are found on the local network, by workers and people: real processes on machines of their own (networks.py), with one switch between them."""

import contextlib
import json
import os
import pty
import random
import shutil
import signal
import socket

import pytest
from conftest import PROGRAMS, eventually
from multicast import PORT, Ear, Mouth, shout
from networks import make_network
from office import Office, announced, announcement, serve_at, workers

OTHER_KEY = "sha256:" + "b" * 64


@pytest.fixture
def office(request, folder):
    network = make_network()
    office = Office(folder, network)
    request.node.sites = office.members
    yield office
    office.stop()
    network.close()


def strings_of(name, key):
    return [b"txtvers=1", b"name=" + name, b"key=" + key.encode(), b"version=9"]


def test_workers_find_the_site_and_run_its_job(office):
    desk = announced(office.site("desk"))
    machines = [office.machine(name) for name in ("one", "two", "three")]
    found = machines[0].discover()
    assert found == {desk.url: {"name": "desk", "url": desk.url, "fingerprint": desk.fingerprint, "version": found[desk.url]["version"],
                                "key": "new", "known": False}}
    for machine in machines:
        office.worker(machine, desk)
    eventually(lambda: set(workers(desk)) == {"one", "two", "three"}, about="three workers")
    done = desk("run", "--count", "30", "--", "sh", "-c", "sleep 0.1; echo {index}")
    assert sorted(map(int, done.stdout.split())) == list(range(30))
    assert all(worker["tasks_done"] > 0 for worker in workers(desk).values())
    for machine in machines:
        assert f"runs tasks of desk at {desk.url}" in machine.log and desk.fingerprint in machine.log
        assert "met for the first time" in machine.log
        assert machine.remembers(desk.url, desk.fingerprint)
    assert machines[0].discover()[desk.url]["key"] == "known"


@pytest.mark.parametrize("is_open", [False, True])
def test_a_worker_that_was_told_nothing_finds_the_site_and_works_once_it_is_accepted(office, is_open):
    desk = announced(office.site("desk", *["--open"] * is_open))
    machine = office.machine("one")
    with open(machine.log_path, "ab") as log:
        office.processes.append(machine.user.start("worker", stdout=log, stderr=log))
    key = eventually(lambda: desk.json("workers")["worker_keys"], about="the worker's key")[0]
    assert key["state"] == ("accepted" if is_open else "pending")
    if not is_open:
        assert key["fingerprint"] in eventually(lambda: machine.log.partition("event=pending")[2])
        desk("worker", "accept", key["fingerprint"])
    eventually(lambda: workers(desk), about="the worker")
    assert desk("run", "--", "echo", "hello").stdout == "hello\n"


def test_of_several_sites_one_is_named_or_asked_for(office):
    desk, loft = announced(office.site("desk")), announced(office.site("loft"))
    machine = office.machine("one")
    refused = machine(*machine.words(loft), status=1)
    for site in (desk, loft):
        assert f"{site.name}  {site.url}  {site.fingerprint}" in refused.stderr
    assert "--site NAME" in refused.stderr
    refused = machine(*machine.words(loft, "--site", "attic"), status=1)
    assert 'no site named "attic"' in refused.stderr and "lode discover" in refused.stderr
    refused = machine(*machine.words(loft, "--pin", OTHER_KEY), status=1)
    assert f"no site with the key {OTHER_KEY}" in refused.stderr
    assert "sha256:" in machine(*machine.words(loft, "--pin", "sha256:1"), status=2).stderr
    for options in (("--site", "loft"), ("--pin", loft.fingerprint)):
        process = office.worker(machine, loft, *options)
        eventually(lambda: set(workers(loft)) == {"one"}, about="the worker")
        process.terminate()
        process.wait(60)
    assert workers(desk) == {}


def test_the_terminal_is_asked_which_of_several_sites(office):
    announced(office.site("desk"))
    loft = announced(office.site("loft"))
    machine = office.machine("one")
    words = machine.words(loft)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(machine.user.home)
        os.execvpe("nsenter", [*machine.user.prefix, str(PROGRAMS / "lode"), *map(str, words)], machine.user.environment)
    said = b""
    while b"Number:" not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, b"2\n")
    eventually(lambda: set(workers(loft)) == {"one"}, about="the worker")
    os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(OSError):  # The other end is closed.
        while os.read(terminal, 4096):
            pass
    os.waitpid(pid, 0)
    os.close(terminal)


def test_a_liar_is_left_out(office):
    """Somebody announces the name and the key of a site at his own address, where a site with another key answers."""
    desk = announced(office.site("desk"))
    liar = office.site("liar", "--no-announce")
    machine = office.machine("one")
    with Mouth(liar.node, "desk", liar.node.address, int(liar.url.rsplit(":", 1)[1]), strings_of(b"desk", desk.fingerprint)):
        found = eventually(lambda: (heard := machine.discover()).keys() == {desk.url, liar.url} and heard, about="both")
        assert found[desk.url]["key"] == "new" and found[liar.url]["key"] == "false"
        assert liar.fingerprint in found[liar.url]["problem"]
        office.worker(machine, desk)
        eventually(lambda: set(workers(desk)) == {"one"}, about="the worker")
        assert "desk at " + liar.url + " is left out" in machine.log
        desk.stop()
        other = office.machine("two")
        refused = other(*other.words(liar, "--site", "desk"), status=1)
        assert "has the key " + liar.fingerprint in refused.stderr
        assert not other.remembers(liar.url, desk.fingerprint)
    assert workers(liar) == {}


def test_another_key_at_an_address_that_was_met_is_refused(office):
    desk = announced(office.site("desk"))
    machine = office.machine("one")
    machine.remember(desk.url, OTHER_KEY)
    assert machine.discover()[desk.url]["key"] == "changed"
    refused = machine(*machine.words(desk), status=1)
    assert OTHER_KEY in refused.stderr and "lode login --forget" in refused.stderr
    assert workers(desk) == {} and machine.remembers(desk.url, OTHER_KEY)


def test_a_site_says_goodbye(office):
    machine = office.machine("one")
    with Ear(machine.node) as ear:
        desk = announced(office.site("desk"))
        eventually(lambda: ear.lives(desk.node.address), about="the announcement")
        assert all(seconds > 0 for seconds in ear.lives(desk.node.address))
        assert desk.stop() == 0
        eventually(lambda: ear.lives(desk.node.address)[-1] == 0, about="the goodbye")
    refused = machine("discover", "--wait", "1s", status=1)
    assert "no site announces itself" in refused.stderr and "--site URL" in refused.stderr
    assert machine.discover("--wait", "1s", status=1) == {}


def test_sites_on_one_machine_do_not_disturb_each_other(office):
    """Each has a responder of its own, as where avahi-daemon runs beside a site."""
    machine, other = office.machine("one"), office.machine("two")
    for name in ("desk", "loft"):
        serve_at(machine, office, name)
    found = eventually(lambda: len(heard := other.user.json("discover", status=None)["sites"]) == 2 and heard, about="both")
    assert [site["name"] for site in found] == ["desk", "loft"]
    assert {site["key"] for site in found} == {"new"}


def test_a_copy_of_a_site_is_announced_beside_it(office):
    """Both claim one name and one host: the second takes another, and neither is silenced."""
    first, second, other = (office.machine(name) for name in ("one", "two", "three"))
    directory = serve_at(first, office, "desk")
    office.processes[-1].terminate()
    office.processes[-1].wait(60)
    shutil.copytree(directory, second.user.home / "copy")
    serve_at(first, office, "desk")
    serve_at(second, office, "desk", directory=second.user.home / "copy")
    found = eventually(lambda: len(heard := other.user.json("discover", status=None)["sites"]) == 2 and heard, about="both")
    assert len({site["fingerprint"] for site in found}) == 1
    assert {site["url"].split("//")[1].split(":")[0] for site in found} == {first.node.address, second.node.address}


def test_who_is_told_the_site_says_nothing_on_the_network(office):
    desk = office.site("desk", "--no-announce")
    machine, listener = office.machine("one"), office.machine("two")
    with Ear(listener.node) as ear:
        office.worker(machine, desk, "--site", desk.url, "--pin", desk.fingerprint)
        eventually(lambda: set(workers(desk)) == {"one"}, about="the worker")
        desk("run", "--", "true")
        assert listener.discover("--wait", "1s", status=1) == {}
        # The ear works: it has heard the question.
        eventually(lambda: ear.packets, about="the question")
        assert {address for address, _ in ear.packets} <= {listener.node.address, "127.0.0.1"}
    assert announcement(desk) == {"state": "off"}


@pytest.mark.parametrize("host", ("0.0.0.0", "[::]"))
def test_a_site_on_every_address_says_where_others_reach_it(office, host):
    machine, other = office.machine("one"), office.machine("two")
    directory = serve_at(machine, office, "desk", "--address", f"{host}:0")
    machine.user("login", "--directory", directory)
    port = json.loads((directory / "site.json").read_text())["url"].rpartition(":")[2]
    url = f"https://{machine.node.address}:{port}"
    status = machine.user.json("status")
    assert url in status["reached_at"] and not any("127.0.0.1" in each or "[::1]" in each for each in status["reached_at"])
    log = eventually(lambda: (said := (machine.user.home / "desk.log").read_text()) and "a worker joins" in said and said)
    assert f"  others     {status['reached_at'][0]}\n" in log and url in log
    # What it says is to be typed there works there.
    line = f"lode worker --site {status['reached_at'][0]} --pin {status['fingerprint']}"
    assert f"\n  {line}\n" in log
    with open(other.log_path, "ab") as said:
        office.processes.append(other.user.start(*line.split()[1:], stdout=said, stderr=said))
    eventually(lambda: machine.user.json("workers")["worker_keys"], about="the worker's key")
    invited = machine.user("worker", "invite").stderr
    assert f"lode worker enroll --site {status['reached_at'][0]} --pin" in invited


def test_a_site_says_its_own_url_and_one_on_loopback_nothing(office):
    machine = office.machine("one")
    directory = serve_at(machine, office, "told", "--address", "0.0.0.0:0", "--url", "https://desk.example.org:7733")
    machine.user("login", "--directory", directory)
    assert machine.user.json("status")["reached_at"] == ["https://desk.example.org:7733"]
    directory = serve_at(machine, office, "own", "--address", "127.0.0.1:0")
    machine.user("login", "--directory", directory)
    assert machine.user.json("status")["reached_at"] == [] and "Reached at" not in machine.user("status").stdout


def test_a_site_on_loopback_is_announced_there_when_told(office):
    machine = office.machine("one")
    silent = serve_at(machine, office, "silent", "--address", "127.0.0.1:0")
    serve_at(machine, office, "told", "--address", "127.0.0.1:0", "--announce")
    found = eventually(lambda: machine.user.json("discover", status=None)["sites"], about="the site that was told")
    assert [site["name"] for site in found] == ["told"]
    assert found[0]["url"].startswith("https://127.0.0.1:")
    assert office.machine("two").discover("--wait", "2s", status=1) == {}
    assert "contradict" in machine("site", "--announce", "--no-announce", status=2).stderr
    assert "10m" in machine("discover", "--wait", "11m", status=2).stderr
    machine.user("login", "--directory", silent)
    assert machine.user.json("status")["announcement"] == {"state": "off"}


def test_a_site_that_cannot_be_announced_serves(office):
    machine = office.machine("one")
    with machine.node.inside():
        taken = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with taken:
        taken.bind(("::", PORT))  # Of both families, and shared with nobody.
        directory = serve_at(machine, office, "site")
        machine.user("login", "--directory", directory)
        said = eventually(lambda: (now := machine.user.json("status")["announcement"])["state"] == "failing" and now, about="the failure")
        assert "multicast DNS" in said["problem"] and "5353" in said["change"]
        assert "not_announced" in (machine.user.home / "site.log").read_text()
        assert "Announced:    no, " in machine.user("status").stdout
        refused = machine("discover", "--wait", "1s", status=1)
        assert "5353" in refused.stderr


def test_what_strangers_announce_is_cleaned_and_bounded(office):
    desk = announced(office.site("desk"))
    machine, stranger = office.machine("one"), office.machine("two")
    with contextlib.ExitStack() as mouths:
        for label, strings in (
            ("evil", strings_of("a\x1b[2J\u202eb\x9b".encode(), OTHER_KEY)),
            ("nameless", strings_of(b"", OTHER_KEY)),
            ("keyless", [b"name=keyless"]),
            ("empty", []),
        ):
            mouths.enter_context(Mouth(stranger.node, label, stranger.node.address, 1, strings))
        url = f"https://{stranger.node.address}:1"
        heard = eventually(lambda: (now := machine.user.json("discover"))["ignored"] >= 3 and len(now["sites"]) == 2 and now, about="all of them")
        found = {site["url"]: site for site in heard["sites"]}
        assert found[desk.url]["key"] == "new"
        assert found[url]["name"] == "a?[2J?b?" and found[url]["key"] == "unreachable"
        shown = machine("discover")
        assert "\x1b" not in shown.stdout + shown.stderr and "a?[2J?b?" in shown.stdout
        office.worker(machine, desk)
        eventually(lambda: set(workers(desk)) == {"one"}, about="the worker")


def damaged(packet, count, seed=7733):
    """The packet with some bytes changed, cut or doubled, in `count` ways."""
    random_of = random.Random(seed)
    for _ in range(count):
        bytes_of = bytearray(packet)
        for _ in range(random_of.randint(1, 4)):
            bytes_of[random_of.randrange(len(bytes_of))] = random_of.randrange(256)
        yield bytes(bytes_of[:random_of.randint(1, len(bytes_of))] if random_of.random() < 0.3 else bytes_of)


def test_a_storm_of_broken_packets_does_no_harm(office):
    desk = announced(office.site("desk"))
    machine, stranger = office.machine("one"), office.machine("two")
    mouth = Mouth(stranger.node, "storm", stranger.node.address, 1, strings_of(b"storm", OTHER_KEY))
    packets = list(damaged(mouth.packet, 4000))
    listening = machine.user.start("discover", "--wait", "3s", "--json")
    shout(stranger.node, packets)
    heard = json.loads(listening.communicate(timeout=60)[0])
    assert desk.url in {site["url"] for site in heard["sites"]}
    assert desk.process.poll() is None and announcement(desk) == {"state": "announced", "by": "lode"}
    assert desk.url in machine.discover()
