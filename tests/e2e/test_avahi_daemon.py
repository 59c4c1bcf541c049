"""Sites that are announced and found by an avahi-daemon where one runs, and by Lode itself where none does: real daemons (avahi.py) on machines of their own."""

import contextlib
import glob
import json
import shutil
import signal
import socket
import time

import pytest
from avahi import AvahiDaemon, Bus
from conftest import eventually
from multicast import Ear
from networks import make_network
from office import Office, serve_at

DAEMON, OWN = "avahi-daemon", "lode"
BUS_SECONDS = 25  # A call on a bus that hangs takes so long.


@pytest.fixture
def office(folder):
    network = make_network()
    office = Office(folder, network)
    yield office
    office.stop()
    network.close()


def machine_with_bus(office, name):
    """A machine with a bus, which its programs use, and what announces there."""
    machine = office.machine(name)
    machine.bus = Bus(machine.user.home / "bus")
    machine.user.environment.update(machine.bus.environment)
    return machine


@contextlib.contextmanager
def daemon_at(machine, **settings):
    with machine.bus, AvahiDaemon(machine.node, machine.bus, **settings) as daemon:
        yield daemon


class Desk:
    """A site on a machine, whose operator the machine's user is."""

    def __init__(self, office, machine, *options, name="desk", directory=None):
        self.machine = machine
        self.directory = serve_at(machine, office, name, *options, directory=directory)
        self.process = office.processes[-1]
        said = json.loads((self.directory / "site.json").read_text())
        self.url, self.fingerprint = said["url"].rstrip("/"), said["fingerprint"]
        self.log_path = machine.user.home / f"{name}.log"
        machine.user("login", "--directory", self.directory)

    @property
    def announcement(self):
        return self.machine.user.json("status", "--site", self.url)["announcement"]

    def await_announced(self, by):
        eventually(lambda: self.announcement == {"state": "announced", "by": by}, about=f"the announcement by {by}")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def hear(machine, *options, status=None):
    """By what this machine hears sites, and where these are."""
    heard = machine.user.json("discover", *options, status=status)
    return heard["by"], [site["url"] for site in heard["sites"]]


def await_heard(machine, urls, by=OWN):
    eventually(lambda: hear(machine, "--wait", "1s") == (by, urls), about=f"{urls} heard by {by}")


def labels(daemon):
    return {service["label"] for service in daemon.browse()}


def test_a_site_is_announced_by_the_daemon_and_heard_by_daemons_and_without(office):
    one, two, three = machine_with_bus(office, "one"), office.machine("two"), machine_with_bus(office, "three")
    # Nobody else may use the port on these machines: what is announced and heard there was by the daemon.
    alone = {"server": ["disallow-other-stacks=yes"]}
    with daemon_at(one, **alone) as daemon, daemon_at(three, **alone) as daemon_of_three:
        desk = Desk(office, one, "--open")
        desk.await_announced(DAEMON)
        assert "event=announced service=_lode._tcp by=avahi-daemon" in desk.log_path.read_text()
        assert "Announced:    yes, by avahi-daemon" in one.user("status").stdout
        for machine, by in ((one, DAEMON), (two, OWN), (three, DAEMON)):
            await_heard(machine, [desk.url], by)
        digits = desk.fingerprint.removeprefix("sha256:")[:12]
        for each in (daemon, daemon_of_three):
            service = eventually(lambda each=each: [of_four for of_four in each.browse() if of_four["protocol"] == "IPv4"], about="the service")[0]
            assert service["label"] == f"desk-{digits}" and service["host"] == f"lode-{digits}.local"
            assert f"https://{service['address']}:{service['port']}" == desk.url
            assert {'"txtvers=1"', '"name=desk"', f'"key={desk.fingerprint}"'} <= set(service["txt"].split())
        for machine in (two, three):
            with open(machine.log_path, "ab") as log:
                office.processes.append(machine.user.start("worker", "--name", machine.name, stdout=log, stderr=log))
        eventually(lambda: {worker["name"] for worker in one.user.json("workers")["workers"]} == {"two", "three"}, about="both workers")
        assert sorted(one("run", "--count", "4", "--", "echo", "{index}").stdout.split()) == ["0", "1", "2", "3"]
        # A site that is killed cannot say goodbye. The daemon does, at once.
        desk.end(signal.SIGKILL)
        eventually(lambda: not daemon_of_three.browse(), seconds=30, about="the goodbye")
        assert hear(two, "--wait", "2s") == (OWN, [])
        assert "(the avahi-daemon was asked)" in three("discover", "--wait", "1s", status=1).stderr


def test_a_site_says_goodbye_by_the_daemon(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with daemon_at(one) as daemon, Ear(two.node) as ear:
        desk = Desk(office, one)
        desk.await_announced(DAEMON)
        eventually(lambda: ear.lives(one.node.address), about="the announcement")
        assert desk.end() == 0
        eventually(lambda: ear.lives(one.node.address)[-1] == 0, about="the goodbye")
        eventually(lambda: not daemon.browse(), about="the daemon's view")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_daemon_goes_and_comes_back(office, number):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with daemon_at(one) as daemon:
        desk = Desk(office, one)
        desk.await_announced(DAEMON)
        for _ in range(2):
            daemon.end(number)
            desk.await_announced(OWN)
            await_heard(two, [desk.url])
            await_heard(one, [desk.url])
            daemon.start()
            desk.await_announced(DAEMON)
            await_heard(two, [desk.url])
            eventually(lambda: labels(daemon) == {f"desk-{desk.fingerprint.removeprefix('sha256:')[:12]}"}, about="the daemon's view")
            await_heard(one, [desk.url], DAEMON)


def test_the_bus_goes_and_comes_back(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with daemon_at(one) as daemon:
        desk = Desk(office, one)
        desk.await_announced(DAEMON)
        one.bus.end(signal.SIGKILL)
        desk.await_announced(OWN)
        await_heard(two, [desk.url])
        await_heard(one, [desk.url])
        daemon.stop()  # It serves on without a bus, or has ended with it.
        one.bus.start()
        daemon.start()
        desk.await_announced(DAEMON)
        await_heard(two, [desk.url])


def test_a_daemon_that_comes_later_takes_over(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with one.bus:
        desk = Desk(office, one)
        desk.await_announced(OWN)
        await_heard(one, [desk.url])
        with AvahiDaemon(one.node, one.bus) as daemon:
            desk.await_announced(DAEMON)
            await_heard(two, [desk.url])
            eventually(lambda: labels(daemon), about="the daemon's view")
        desk.await_announced(OWN)


def test_a_bus_that_hangs_holds_up_nothing(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with daemon_at(one):
        one.bus.freeze()
        start = time.monotonic()
        desk = Desk(office, one)
        desk.await_announced(OWN)
        assert hear(one, "--wait", "2s") == (OWN, [desk.url])
        assert hear(two, "--wait", "2s") == (OWN, [desk.url])
        assert desk.end() == 0
        assert time.monotonic() - start < BUS_SECONDS
        again = Desk(office, one, directory=desk.directory)
        again.await_announced(OWN)
        one.bus.thaw()
        again.await_announced(DAEMON)
        one.bus.freeze()
        await_heard(two, [again.url])
        assert hear(one, "--wait", "2s") == (OWN, [again.url])
        assert again.end() == 0
        one.bus.thaw()


def test_a_bus_that_takes_no_connection_holds_up_nothing(office):
    """To connect to a socket whose queue is full waits for ever."""
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with contextlib.ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(one.bus.socket))
        listening.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = sockets.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(one.bus.socket))
        desk = Desk(office, one)
        desk.await_announced(OWN)
        assert hear(one, "--wait", "2s") == (OWN, [desk.url])
        assert hear(two, "--wait", "2s") == (OWN, [desk.url])
        assert desk.end() == 0


def test_without_the_library_it_is_done_without_the_daemon(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    libraries = glob.glob("/usr/lib/*/libavahi-client.so.3")
    assert libraries
    hide = " && ".join(f"mount --bind /dev/null {library}" for library in libraries)
    with daemon_at(one) as daemon:
        one.user.prefix = [*one.node.prefix, "unshare", "--mount", "sh", "-euc", hide + ' && exec "$@"', "sh"]
        desk = Desk(office, one)
        desk.await_announced(OWN)
        await_heard(two, [desk.url])
        await_heard(one, [desk.url])
        eventually(lambda: labels(daemon), about="the daemon's view")


def test_what_the_daemons_operator_forbids_is_not_got_round(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with daemon_at(one, publish=["disable-user-service-publishing=yes"]):
        desk = Desk(office, one)
        eventually(lambda: desk.announcement["state"] == "failing", about="the refusal")
        said = desk.announcement
        assert said["by"] == DAEMON and "ot permitted" in said["problem"] and "disable-user-service-publishing" in said["change"]
        assert "event=not_announced by=avahi-daemon" in desk.log_path.read_text()
        assert "Announced:    no, " in one.user("status").stdout
        assert hear(two, "--wait", "2s") == (OWN, [])


def test_what_a_daemon_has_no_room_for_is_announced_without_it(office):
    one, two = machine_with_bus(office, "one"), office.machine("two")
    with daemon_at(one, server=["entries-per-entry-group-max=1"]):
        desk = Desk(office, one)
        desk.await_announced(OWN)
        await_heard(two, [desk.url])


@pytest.mark.parametrize("is_beside", [True, False])
def test_a_copy_of_a_site_is_announced_beside_it(office, is_beside):
    """The daemon has the name already, or the network has: the second takes another, and neither is silenced."""
    one, two, three = machine_with_bus(office, "one"), machine_with_bus(office, "two"), office.machine("three")
    with daemon_at(one), daemon_at(two):
        first = Desk(office, one)
        first.end()
        shutil.copytree(first.directory, two.user.home / "copy")
        first = Desk(office, one, directory=first.directory)
        second = Desk(office, one if is_beside else two, name="desk2" if is_beside else "desk", directory=two.user.home / "copy")
        first.await_announced(DAEMON)
        second.await_announced(DAEMON)
        assert first.fingerprint == second.fingerprint
        eventually(lambda: sorted(hear(three, "--wait", "1s")[1]) == sorted([first.url, second.url]), about="both")


def test_the_daemon_of_another_network_is_left_alone(office):
    """A container may see its host's bus, and the daemon there announces on the host's network."""
    one, two = machine_with_bus(office, "one"), office.machine("two")
    two.user.environment.update(one.bus.environment)
    with daemon_at(one) as daemon:
        assert hear(two, "--wait", "1s") == (OWN, [])
        desk = Desk(office, two)
        desk.await_announced(OWN)
        eventually(lambda: {service["address"] for service in daemon.browse() if service["protocol"] == "IPv4"} == {two.node.address},
                   about="the daemon's view")
