"""Sites and other machines on one network, which find one another or do not: real processes on machines of their own (networks.py)."""

from conftest import Lode, eventually
from networks import FederationApart


class Machine:
    """A machine of the network that serves no site, with a user."""

    def __init__(self, office, name):
        self.name = name
        self.node = office.network.node(name)
        self.user = Lode(office.folder, office.folder / name)
        self.user.prefix = self.node.prefix
        self.log_path = self.user.home / "worker.log"

    def __call__(self, *arguments, **options):
        return self.user(*arguments, **options)

    def discover(self, *options, status=0):
        """What it hears: the sites by URL."""
        return {site["url"]: site for site in self.user.json("discover", *options, status=status)["sites"]}

    def words(self, site, *options):
        """The words of `lode worker` here, with a token of the site."""
        path = self.user.home / f"{site.name}.token"
        if not path.exists():
            path.write_text(site.json("token", "create", self.name, "--role", "worker")["token"] + "\n")
        return ["worker", "--token-file", path, "--directory", self.user.home / "worker", "--name", self.name, "--cpus", "1", *options]

    def start_worker(self, site, *options):
        with open(self.log_path, "ab") as log:
            return self.user.start(*self.words(site, *options), stdout=log, stderr=log)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def remembers(self, url, key):
        """Whether the user's known_sites say that the site at this URL has this key."""
        path = self.user.home / ".config" / "lode" / "known_sites"
        return path.exists() and any(line.split()[:2] == [url.split("//")[1], key] for line in path.read_text().splitlines())

    def remember(self, url, key):
        path = self.user.home / ".config" / "lode" / "known_sites"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as file:
            file.write(f"{url.split('//')[1]} {key} 2026-01-01T00:00:00Z\n")


class Office(FederationApart):
    """Sites and other machines on one network."""

    def __init__(self, folder, network):
        super().__init__(folder, network)
        self.processes = []

    def machine(self, name):
        return Machine(self, name)

    def worker(self, machine, site, *options):
        self.processes.append(machine.start_worker(site, *options))
        return self.processes[-1]

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)
        super().stop()


def announcement(site):
    return site.json("status")["announcement"]


def announced(site):
    """The site, once it has said on the network that it is there."""
    eventually(lambda: announcement(site)["state"] == "announced", about=f"the announcement of {site.name}")
    return site


def workers(site):
    return {worker["name"]: worker for worker in site.json("workers")["workers"] if worker["state"] != "gone"}


def serve_at(machine, office, name, *options, directory=None):
    """A site at that machine, beside others; returns its directory."""
    directory = directory or machine.user.home / name
    log = open(machine.user.home / f"{name}.log", "ab")
    words = ["site", "--directory", directory, "--address", f"{machine.node.address}:0", "--workers", "0", "--name", name, *options]
    office.processes.append(machine.user.start(*words, stdout=log, stderr=log))
    eventually(lambda: (directory / "site.json").exists(), about=f"the site {name}")
    return directory
