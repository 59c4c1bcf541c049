"""Real processes for the end-to-end tests: sites, clients, and the certainty that nothing is left running.

    def test_a_command_runs(site, lode):
        assert lode("run", "--", "echo", "hello").stdout == "hello\\n"

Everything of a test lives below its `tmp_path`: home, data directory of the site, logs. A site listens on 127.0.0.1 and a free port. Nothing here
sleeps for luck: `eventually` awaits a condition and fails with what it last saw.
"""

import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("LODE_PROGRAMS", ROOT / "build" / "programs"))
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
COMMAND_SECONDS_MAX = 120
# How often a condition is looked at: what is true soon is seen soon, and what takes long, and may be a program that is run, leaves the processors to others.
POLL_SECONDS = 0.01
POLL_SECONDS_MAX = 0.2
MARK = "LODE_TEST_FOLDER"  # In the environment of every process that a test starts.


def eventually(condition, seconds=60, about="the condition"):
    """Awaits a true value of `condition()` and returns it."""
    deadline = time.monotonic() + seconds
    pause = POLL_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{about} did not come true in {seconds} s; last seen: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.2, POLL_SECONDS_MAX)


def _contains(pid, name, needle):
    try:
        return needle in pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return False


def processes_of(folder):
    """The processes that a test started, and their descendants that kept its environment or name its folder."""
    mark = f"{MARK}={folder}\0".encode()
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    return [
        pid for pid in pids if _contains(pid, "environ", mark) or _contains(pid, "cmdline", str(folder).encode() + b"/")
    ]


def kill_all(folder):
    """Kills what a test left, until nothing is; returns how many processes that were."""
    killed = set()

    def is_quiet():
        pids = [pid for pid in processes_of(folder) if not _contains(pid, "stat", b") Z ")]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except ProcessLookupError:
                pass
        return not pids

    eventually(is_quiet, about="the end of the test's processes")
    return len(killed)


class Answer:
    """What the API answered: `code`, `headers`, `body` (bytes) and `json` of it."""

    def __init__(self, code, headers, body):
        self.code = code
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.code}, {self.body[:500]!r})"


class Lode:
    """The program `lode` as one user calls it, with a home of its own. Calling it runs a command to its end."""

    def __init__(self, folder, home):
        self.folder = folder
        self.prefix = []  # What stands before the program: how to get to its machine.
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "USER": "tester",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent",  # No test speaks to the daemons of this machine.
            MARK: str(folder),
        }
        for name in os.environ:
            if name.endswith("SAN_OPTIONS"):
                self.environment[name] = os.environ[name]

    @property
    def data(self):
        """Where a site of this user keeps its data when it is not told."""
        return self.home / ".local" / "share" / "lode"

    def start(self, *arguments, program="lode", environment=None, **options):
        """Starts a command and returns its Popen; output is text through pipes unless told otherwise."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        settings.update(options)
        return subprocess.Popen(
            [*self.prefix, str(PROGRAMS / program), *map(str, arguments)],
            env={**self.environment, **(environment or {})},
            cwd=settings.pop("cwd", self.home),
            **settings,
        )

    def __call__(self, *arguments, status=0, input=None, seconds=COMMAND_SECONDS_MAX, **options):
        """Runs a command; fails the test unless it exits with `status` (None: any). Has stdout, stderr, returncode."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        with self.start(*arguments, **options) as process:
            try:
                stdout, stderr = process.communicate(input, timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, stderr = process.communicate()
                pytest.fail(f"lode {arguments} did not end in {seconds} s\n{stdout}\n{stderr}")
        done = subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)
        if status is not None and done.returncode != status:
            pytest.fail(f"lode {arguments} ended with {done.returncode}, not {status}\n{stdout}\n{stderr}")
        return done

    def on_terminal(self, *words):
        """What a command writes to a terminal, and its exit status."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.home)
            os.execve(PROGRAMS / "lode", ["lode", *words], self.environment)
        said = b""
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # The other end is closed.
                break
            if not piece:
                break
            said += piece
        os.close(terminal)
        return said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def json(self, *arguments, **options):
        """Runs a command with --json and returns what it printed: one value, or a list of them for lines."""
        # The option stands before "--", where the command of `lode run` begins.
        at = arguments.index("--") if "--" in arguments else len(arguments)
        printed = self(*arguments[:at], "--json", *arguments[at:], **options).stdout
        try:
            return json.loads(printed)
        except json.JSONDecodeError:
            return [json.loads(line) for line in printed.splitlines()]


class Site:
    """A running `lode site`. It can be stopped, killed and started again over the same directory and port."""

    def __init__(self, user, directory, options=()):
        self.user = user
        self.directory = pathlib.Path(directory)
        self.options = list(options)
        self.address = "127.0.0.1:0"
        self.process = None
        self.url = None
        self.log_path = user.folder / f"site-{self.directory.name}-{id(self)}.log"

    def start(self, environment=None):
        """Starts it and waits until it says that it listens."""
        with open(self.log_path, "ab") as log:
            self.process = self.user.start(
                *["site", "--directory", self.directory, "--address", self.address, *self.options],
                stdout=log,
                stderr=log,
                environment=environment,
                start_new_session=True,
            )
        said = eventually(self._said, START_SECONDS_MAX, "the start of the site")
        self.url = said["url"]
        self.fingerprint = said["fingerprint"]
        self.address = self.url.split("//")[1].rstrip("/")  # The same port after a restart.
        return self

    def _said(self):
        if self.process.poll() is not None:
            pytest.fail(f"the site ended with {self.process.returncode}:\n{self.log}")
        try:
            said = json.loads((self.directory / "site.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return said if said["pid"] == self.process.pid else None

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def token(self):
        return (self.directory / "admin.token").read_text().strip()

    def stop(self):
        """Stops it gracefully; returns its exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the site did not stop in {STOP_SECONDS_MAX} s:\n{self.log}")

    def kill(self):
        """kill -9, as a crash of the machine would do it to this one process."""
        self.process.kill()
        self.process.wait()

    def workers(self):
        """The pids of the worker processes that belong to this site's directory."""
        here = str(self.directory).encode() + b"/"
        return [
            pid
            for pid in processes_of(self.user.folder)
            if _contains(pid, "cmdline", b"\0worker\0") and _contains(pid, "cmdline", here)
        ]

    def api(self, method, path, body=None, headers=None, token=True, seconds=COMMAND_SECONDS_MAX, as_site=None):
        """One request as a person with curl would make it: `body` is bytes, or a value sent as JSON. `as_site` is a directory
        with the key of a site that makes it in its own name."""
        headers = dict(headers or {})
        if token and not as_site:
            headers.setdefault("Authorization", f"Bearer {self.token if token is True else token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if as_site:
            context.load_cert_chain(as_site / "certificate.pem", as_site / "key.pem")
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=context) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the logs of a failed test's sites."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for site in getattr(item, "sites", []):
            if site.log_path.exists():
                report.sections.append((f"log of {site.directory}", site.log[-20000:]))


@pytest.fixture
def folder(tmp_path):
    """The folder of this test. What still runs in it at the end is killed."""
    if not (PROGRAMS / "lode").exists():
        pytest.fail(f"{PROGRAMS}/lode does not exist: ./dev build")
    yield tmp_path
    kill_all(tmp_path)


@pytest.fixture
def make_lode(folder):
    """make_lode("alice"): the program as another user calls it, with an empty home."""
    return lambda name: Lode(folder, folder / name)


@pytest.fixture
def lode(make_lode):
    """The program as the owner of `site` calls it: on the same machine it needs no login."""
    return make_lode("home")


@pytest.fixture
def make_port():
    """make_port(): a port of this machine that nobody else is given until the end of the test, whoever listens on it comes and goes.

    A socket that is bound to it and does not listen is in the way of all but those who ask for this port, and allow its address to be reused."""
    held = []

    def make():
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        held.append(holder)
        return holder.getsockname()[1]

    yield make
    for holder in held:
        holder.close()


@pytest.fixture
def make_site(request, lode):
    """make_site(directory=None, options=("--workers", "0")): starts a site; all are stopped at the end. `port`: one of make_port, for a site that is to come back."""
    request.node.sites = sites = []

    def make(directory=None, options=(), user=lode, environment=None, port=0):
        site = Site(user, directory or user.data, options)
        site.address = f"127.0.0.1:{port}"
        sites.append(site)
        return site.start(environment)

    yield make
    for site in sites:
        if site.process and site.process.poll() is None:
            site.process.terminate()
    for site in sites:
        try:
            site.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            site.process.kill()
            site.process.wait()


@pytest.fixture
def site(make_site):
    """A site with its defaults: workers for this machine's cores, sandboxed tasks."""
    return make_site()


class Member(Site):
    """A site of a federation, with its operator: `ocean("sites")` runs `lode sites` there, `ocean.json("sites")` reads it."""

    def __init__(self, federation, name, options):
        super().__init__(Lode(federation.folder, federation.folder / name), federation.folder / name / "site", ["--name", name, *options])
        self.name = name

    def __call__(self, *arguments, **options):
        return self.user(*arguments, "--site", self.url, **options) if "--" not in arguments else self._run(arguments, options)

    def _run(self, arguments, options):
        at = arguments.index("--")
        return self.user(*arguments[:at], "--site", self.url, *arguments[at:], **options)

    def start(self, environment=None):
        super().start(environment)
        # What the operator of a site does once: a login to it, which needs no question on the same machine.
        self.user("login", "--directory", self.directory)
        return self

    def json(self, *arguments, **options):
        """What a command prints with --json there."""
        return json.loads(self(*arguments[:1], *arguments[1:], "--json", **options).stdout)

    def sites(self):
        """The other sites that it knows, by name."""
        return {site["name"]: site for site in self.json("sites")["sites"]}

    def hubs(self):
        """Its hubs, by name."""
        return {hub["name"]: hub for hub in self.json("hub", "list")["hubs"]}

    def add_hub(self, hub, *options, **settings):
        return self("hub", "add", hub.url, "--pin", hub.fingerprint, *options, **settings)

    def peer_call(self, method, path, body=None, by=None, seconds=COMMAND_SECONDS_MAX):
        """A call between sites: this one is asked, `by` shows its certificate (None: nobody does). `body` is bytes, or sent as JSON."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if by is not None:
            context.load_cert_chain(by.directory / "certificate.pem", by.directory / "key.pem")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=body, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=context) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def add_data(self, identifier, text="content", wait=True):
        """Registers a folder with one file of that text."""
        folder = self.user.folder / f"data-{self.name}-{abs(hash(identifier))}"
        folder.mkdir(exist_ok=True)
        (folder / "file.txt").write_text(text)
        self("data", "add", identifier, folder, *(() if wait else ("--no-wait",)))


class Federation:
    """Named sites with heartbeats of a second: federation.site("ocean"), federation.hub("hub", "--join", "open")."""

    member_class = Member

    def __init__(self, folder):
        self.folder = folder
        self.members = []

    def site(self, name, *options, workers=0, heartbeat=1, environment=None):
        member = self.member_class(self, name, ["--workers", str(workers), "--heartbeat", str(heartbeat), *options])
        self.members.append(member)
        return member.start(environment)

    def hub(self, name, *options, **settings):
        return self.site(name, "--mirror", *options, **settings)


    def stop(self):
        """Stops all members."""
        for member in self.members:
            if member.process and member.process.poll() is None:
                member.process.terminate()
        for member in self.members:
            if member.process:
                try:
                    member.process.wait(STOP_SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    member.process.kill()
                    member.process.wait()


@pytest.fixture
def federation(request, folder):
    """Starts sites and hubs of a federation; all are stopped at the end."""
    federation = Federation(folder)
    request.node.sites = federation.members
    yield federation
    federation.stop()


@pytest.fixture
def coads(tmp_path):
    """A folder with a copy of the COADS climatology of Debian's ferret-datasets, a real netCDF file."""
    found = sorted(pathlib.Path("/usr/share").glob("ferret*/**/coads_climatology.cdf"))
    if not found:
        pytest.fail("coads_climatology.cdf is not installed: ./dev setup demo")
    copy = tmp_path / "coads"
    copy.mkdir()
    shutil.copy(found[0], copy / "coads_climatology.cdf")
    return copy
