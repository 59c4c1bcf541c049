"""Machines of their own for sites: network namespaces on one switch, where the way from one to another can be cut, in one direction too.

    def test_a_partition(apart):
        hub, ocean = apart.hub("hub", "--join", "open"), apart.site("ocean")
        apart.network.cut(hub.node, ocean.node)
        apart.network.heal()

Nothing of this is seen from outside: the switch is a bridge in a namespace too, and addresses are the same in every test. A way is cut by telling
the sender a hardware address that nobody has: packets vanish without a word, as they do when a cable is broken. Processes at both ends and their
open connections see silence only. A test enters a namespace to ask a site, as its operator would sit at that machine; that works during any partition.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import re
import subprocess

import pytest
from conftest import Federation, Member

NAMESPACES = pathlib.Path("/run/netns")
PREFIX = "lode-test-"
NOBODY = "02:00:00:00:00:ff"  # Locally administered; no interface has it.
CLONE_NEWNET = 0x40000000
SETUP_SECONDS_MAX = 60


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=SETUP_SECONDS_MAX)
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def ip(*words):
    run("ip", *words)


def tc(*words):
    run("tc", *words)


def remove_abandoned():
    """Removes what test runs left that were killed: a name says whose it is."""
    for path in NAMESPACES.glob(f"{PREFIX}*") if NAMESPACES.exists() else ():
        owner = path.name[len(PREFIX):].split("-")[0]
        if owner.isdigit() and not pathlib.Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                ip("netns", "del", path.name)


class Node:
    """A machine: a namespace with one interface, `address` on the switch, and a loopback."""

    def __init__(self, namespace, number):
        self.namespace = namespace
        self.address = f"10.0.0.{number}"
        # nsenter becomes the program: its process id is that of the program.
        self.prefix = ["nsenter", f"--net={NAMESPACES / namespace}"]

    @contextlib.contextmanager
    def inside(self):
        """This thread's new sockets are on that machine."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(file):
            if libc.setns(file, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(NAMESPACES / self.namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
            try:
                yield
            finally:
                enter(outside)
        finally:
            os.close(outside)
            os.close(there)

    def connections(self, other):
        """The TCP connections with another machine, as the system of this one sees them: before how many seconds anything, and any data, came of it."""
        listed = subprocess.run([*self.prefix, "ss", "-HOtni", "state", "established", "dst", other.address], capture_output=True, text=True, check=True)
        return [Connection(line) for line in listed.stdout.splitlines()]


class Connection:
    def __init__(self, line):
        def milliseconds(name):
            found = re.search(rf" {name}:(\d+)", line)
            return int(found[1]) if found else 0

        self.heard = milliseconds("lastack") / 1000
        self.heard_data = milliseconds("lastrcv") / 1000


class Network:
    """A switch and the machines on it. `close()` removes all of it."""

    _numbers = itertools.count()

    def __init__(self):
        self.name = f"{PREFIX}{os.getpid()}-{next(self._numbers)}"
        self.namespaces = []
        self.cuts = []
        try:
            self.switch = self._namespace("switch")
            ip("-n", self.switch, "link", "add", "name", "switch", "type", "bridge", "mcast_snooping", "0")
            ip("-n", self.switch, "link", "set", "switch", "up")
        except OSError:
            self.close()
            raise

    def _namespace(self, name):
        namespace = f"{self.name}-{name}"
        ip("netns", "add", namespace)
        self.namespaces.append(namespace)
        return namespace

    def node(self, name):
        number = len(self.namespaces)
        node = Node(self._namespace(name), number)
        port = f"port{number}"
        ip("-n", self.switch, "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", node.namespace)
        ip("-n", self.switch, "link", "set", port, "master", "switch", "up")
        ip("-n", node.namespace, "link", "set", "lo", "up")
        ip("-n", node.namespace, "addr", "add", f"{node.address}/24", "dev", "eth0")
        ip("-n", node.namespace, "link", "set", "eth0", "up")
        ip("-n", node.namespace, "route", "add", "224.0.0.0/4", "dev", "eth0")  # Multicast; elsewhere the default route is its way.
        return node

    def cut_one_way(self, sender, receiver):
        """What `sender` sends to `receiver` is lost from now on; what comes the other way arrives."""
        ip("-n", sender.namespace, "neigh", "replace", receiver.address, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0")
        self.cuts.append((sender, receiver))

    def cut(self, one, other):
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def slow(self, sender, rate="40mbit"):
        """What a machine sends takes its time, so that a test can be in the middle of it."""
        tc("-n", sender.namespace, "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "256kb", "latency", "200ms")

    def quicken(self, sender):
        tc("-n", sender.namespace, "qdisc", "del", "dev", "eth0", "root")

    def heal(self):
        """Every way is open again. Nobody is told."""
        while self.cuts:
            self.mend_one_way(*self.cuts[-1])

    def mend_one_way(self, sender, receiver):
        """What `sender` sends to `receiver` arrives again."""
        self.cuts.remove((sender, receiver))
        ip("-n", sender.namespace, "neigh", "del", receiver.address, "dev", "eth0")

    def close(self):
        for namespace in reversed(self.namespaces):
            with contextlib.suppress(OSError):
                ip("netns", "del", namespace)


def make_network():
    """A network; where none can be made, the test is skipped with the reason."""
    remove_abandoned()
    try:
        return Network()
    except OSError as error:
        pytest.skip(f"no network namespaces here (they take root, or CAP_SYS_ADMIN and CAP_NET_ADMIN): {error}")


class MemberApart(Member):
    """A site on a machine of its own: it, its operator's commands and the test's own calls run there."""

    def __init__(self, federation, name, options):
        super().__init__(federation, name, options)
        self.node = federation.network.node(name)
        self.user.prefix = self.node.prefix
        self.address = f"{self.node.address}:0"

    def api(self, *arguments, **options):
        with self.node.inside():
            return super().api(*arguments, **options)

    def peer_call(self, *arguments, **options):
        with self.node.inside():
            return super().peer_call(*arguments, **options)


class FederationApart(Federation):
    """A federation whose members each have a machine on `network`."""

    member_class = MemberApart

    def __init__(self, folder, network):
        super().__init__(folder)
        self.network = network
