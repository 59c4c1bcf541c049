"""Machines with accounts of their own, for tests of programs that become somebody: none of them is left on this one.

    def test_a_worker_runs_as_ada(house):
        house.start("worker", "--listen", ...)   # As root of a machine that knows ada and bob.

A house is a folder that everybody may enter, with copies of the programs, homes, and a passwd file; its processes see that file as /etc/passwd, in a
mount namespace of their own, with tmpfs where they want a folder below /run. It takes root.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest
from conftest import PROGRAMS, Lode, Site, eventually, kill_all

ACCOUNTS = {"ada": 12345, "bob": 12346}

# What a process of a house goes through: other accounts, a name of its own where one is given, an empty /run.
ENTER = """
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
[ -z "$2" ] || hostname "$2"
shift 2
exec "$@"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class House:
    """`prefix` is what stands before a program for it to run there. `name`: of the machine, as it calls itself."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-house-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.programs = self.folder / "programs"
        (self.programs / "runner").mkdir(parents=True)
        shutil.copy(PROGRAMS / "lode", self.programs)
        shutil.copy(PROGRAMS / "runner" / "lode-runner", self.programs / "runner")
        self.processes = []
        self.sites = []
        passwd = pathlib.Path("/etc/passwd").read_text()
        group = pathlib.Path("/etc/group").read_text()
        for name, number in ACCOUNTS.items():
            home = self.home(name)
            home.mkdir(mode=0o700)
            os.chown(home, number, number)
            passwd += f"{name}:*:{number}:{number}::{home}:/bin/sh\n"
            group += f"{name}:x:{number}:\nlode-{name}:x:{number + 100}:{name}\n"
        (self.folder / "passwd").write_text(passwd)
        (self.folder / "group").write_text(group)
        self.user = Lode(self.folder, self.folder / "operator")

    def home(self, name):
        return self.folder / f"home-{name}"

    def prefix(self, name=""):
        uts = ["--uts"] if name else []
        return ["unshare", "--mount", *uts, "sh", "-euc", ENTER, "sh", str(self.folder), name]

    def start(self, *words, name="", before=(), log="log", **options):
        """Starts a program there; what it says to standard error goes to a file of the folder."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True, "env": self.user.environment, **options}
        with open(self.folder / log, "ab") as errors:
            process = subprocess.Popen([*before, *self.prefix(name), *map(str, words)], stderr=errors, start_new_session=True, **settings)
        self.processes.append(process)
        return process

    def lode(self, *words, **options):
        return self.start(self.programs / "lode", *words, **options)

    def said(self, log="log"):
        return (self.folder / log).read_text(errors="replace")

    def site(self, *options, address="127.0.0.1:0"):
        """A site of the operator without workers of its own."""
        site = Site(self.user, self.user.data, ["--workers", "0", "--name", "desk", *options])
        site.address = address
        self.sites.append(site)
        return site.start()

    def close_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
            if process.stdout:
                process.stdout.close()
        for site in self.sites:
            site.stop()
        kill_all(self.folder)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)

    def close(self):
        self.close_processes()
        shutil.rmtree(self.folder)


@pytest.fixture
def house(request):
    """A house; what was started there is ended."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    house = House()
    request.node.sites = house.sites
    yield house
    house.close()


def listens(port):
    """Awaits that somebody listens there."""

    def can_connect():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(can_connect, about=f"somebody at port {port}")


def status_of(pid):
    """Who a process is: its user, group and further groups."""
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return lines["Uid"].split(), lines["Gid"].split(), lines["Groups"].split()


def files_of(pid):
    """What a process has open; it may open and close others meanwhile."""
    held = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(fd))
    return held


def environment_of(pid):
    text = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(item.split("=", 1) for item in text.split("\0") if item)
