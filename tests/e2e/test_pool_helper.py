"""The helpers that `lode pool` talks to: over TLS to a daemon of root, under inetd and systemd's sockets."""

import contextlib
import json
import os
import pathlib
import socket
import ssl

import pytest
from accounts import ACCOUNTS, environment_of, files_of, free_port, house, listens, status_of  # noqa: F401  (a fixture)
from conftest import eventually
from networks import make_network
from pooled import hosts, is_alive, is_idle, runs
from test_worker_trust import Key

LINE_MAX = 16384  # HELPER_LINE_MAX
PER_ADDRESS = 16  # CONNECTIONS_PER_ADDRESS
SITE = "sha256:" + "a" * 64


class Daemon:
    """`lode worker --listen` of root on a machine that knows ada and bob."""

    def __init__(self, house, *options, name="", before=(), address="127.0.0.1:0"):
        self.house = house
        self.directory = house.folder / f"helper{name}"
        self.log = f"helper{name}.log"
        self.process = house.lode(
            "worker", "--listen", "--json", "--address", address, "--directory", self.directory, *options, name=name, before=before, log=self.log)
        line = self.process.stdout.readline()
        assert line, house.said(self.log)
        self.said = json.loads(line)
        self.address = self.said["address"]

    @property
    def key(self):
        return self.house.user("pool", "key").stdout.strip()

    def allow(self, account, caller=None):
        allow = self.house.lode("worker", "allow", caller or self.key, "--account", account, "--directory", self.directory)
        assert allow.wait(60) == 0, self.house.said()

    def entry(self):
        """A line of a file of machines, with the helper's key."""
        return f"{self.address} {self.said['fingerprint']}\n"

    @property
    def reports(self):
        return self.house.said(self.log)


@pytest.fixture
def daemon(house):
    return Daemon(house)


def ask(daemon, key, line, seconds=60):
    """What a helper answers to one line of a program that has this key (None: shows none)."""
    with connection(daemon, key, seconds) as stream:
        stream.sendall(line if isinstance(line, bytes) else (json.dumps(line) + "\n").encode())
        answer = stream.makefile("rb").readline()
    return json.loads(answer) if answer else None


@contextlib.contextmanager
def connection(daemon, key, seconds=60):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if key:
        context.load_cert_chain(key.certificate, key.key)
    host, port = daemon.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as plain, context.wrap_socket(plain) as stream:
        yield stream


def status_request(**more):
    return {"helper": 1, "request": "status", "fingerprint": SITE, **more}


def test_a_daemon_of_root_starts_a_worker_as_the_account_of_the_key(house, daemon):
    site = house.site()
    user = house.user
    daemon.allow("ada")
    (house.folder / "cluster").write_text(daemon.entry())
    started = hosts(user("pool", "start", "--hosts", house.folder / "cluster", "--cpus", "1", "--json"))[daemon.address]
    assert (started["state"], started["account"]) == ("started", "ada"), started
    pid = started["pid"]
    users, groups, further = status_of(pid)
    assert users == groups == [str(ACCOUNTS["ada"])] * 4
    assert set(further) == {str(ACCOUNTS["ada"]), str(ACCOUNTS["ada"] + 100)}  # Hers, and none of root's.
    environment = environment_of(pid)
    assert environment.keys() == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG"}
    assert (environment["HOME"], environment["USER"], environment["PATH"]) == (str(house.home("ada")), "ada", "/usr/local/bin:/usr/bin:/bin")
    assert os.readlink(f"/proc/{pid}/cwd") == str(house.home("ada"))
    assert not any(str(daemon.directory) in path for path in files_of(pid))
    files = [path for path in house.home("ada").rglob("*")]
    assert files and all(path.lstat().st_uid == ACCOUNTS["ada"] for path in files)
    runs(user, "by the daemon")
    # It is the site's, not the daemon's.
    daemon.process.terminate()
    assert daemon.process.wait(60) == 0
    assert is_alive(pid)
    runs(user, "without the daemon")
    assert f"account=ada request=start site={site.fingerprint} state=started pid={pid} worker={started['fingerprint']}" in daemon.reports
    assert f"key={daemon.key}" in daemon.reports and "from=127.0.0.1" in daemon.reports
    assert "lode_join_" not in daemon.reports


def test_an_unknown_key_is_refused_and_told_the_way(house, daemon):
    done = house.user("pool", "status", "--trust", daemon.address, status=1)
    house.site()
    done = house.user("pool", "status", "--trust", daemon.address, status=1)
    assert f"the key {daemon.key} is not allowed" in done.stderr and f"lode worker allow {daemon.key} --account NAME" in done.stderr
    # The answer to who shows no key at all.
    answer = ask(daemon, None, status_request())
    assert answer["problem"]["status"] == "denied" and "shows no key" in answer["problem"]["detail"]
    # Who was allowed and is not any more.
    daemon.allow("ada")
    assert "absent" in house.user("pool", "status", daemon.address, status=1).stdout
    assert house.lode("worker", "disallow", daemon.key, "--directory", daemon.directory).wait(60) == 0
    assert "is not allowed" in house.user("pool", "status", daemon.address, status=1).stderr


def test_nobody_becomes_root_or_somebody_else(house, daemon):
    key = Key(house.folder / "keys", "caller")
    daemon.allow("root", key.fingerprint)
    answer = ask(daemon, key, status_request())
    assert answer["problem"]["status"] == "denied" and "no workers of root" in answer["problem"]["detail"], answer
    daemon.allow("ada", key.fingerprint)
    assert ask(daemon, key, status_request())["account"] == "ada"
    answer = ask(daemon, key, status_request(account="bob"))
    assert answer["problem"]["status"] == "denied" and "not bob" in answer["problem"]["detail"]
    # An account's folder is written as that account: another's is out of its reach.
    answer = ask(daemon, key, {"helper": 1, "request": "start", "fingerprint": SITE, "site": "https://127.0.0.1:1", "directory": str(house.home("bob"))})
    assert answer["problem"]["status"] == "denied", answer
    assert list(house.home("bob").iterdir()) == []
    # An account that is in the file of callers, and not on this machine.
    (daemon.directory / "callers").write_text(f"{key.fingerprint} carol\n")
    answer = ask(daemon, key, status_request())
    assert answer["problem"]["status"] == "not_found" and "carol" in answer["problem"]["detail"]
    # A file that others could have written counts for nothing.
    (daemon.directory / "callers").write_text(f"{key.fingerprint} ada\n")
    (daemon.directory / "callers").chmod(0o666)
    answer = ask(daemon, key, status_request())
    assert answer["problem"]["status"] == "denied" and "written by others" in answer["problem"]["detail"]


def test_root_is_served_where_that_is_said(house):
    daemon = Daemon(house, "--allow-root")
    key = Key(house.folder / "keys", "caller")
    daemon.allow("root", key.fingerprint)
    assert ask(daemon, key, status_request(directory=str(house.folder / "roots")))["account"] == "root"


def test_garbage_endless_lines_and_broken_requests_are_answered_and_end(house, daemon):
    key = Key(house.folder / "keys", "caller")
    daemon.allow("ada", key.fingerprint)
    cases = [
        (b"\x00\xff garbage\n", "invalid", ""),
        (b"GET / HTTP/1.1\r\n", "invalid", ""),
        (b"x" * (LINE_MAX + 100), "quota", str(LINE_MAX)),
        (b'{"helper": 2, "request": "new"}\n', "unsupported", "version 2"),
        (b'{"helper": 1, "request": "status", "fingerprint": "' + SITE.encode() + b'", "shell": "/bin/sh"}\n', "invalid", "shell"),
    ]
    for line, status, words in cases:
        answer = ask(daemon, key, line)
        assert answer["problem"]["status"] == status and words in answer["problem"]["detail"], (line[:50], answer)
    # Several requests are one conversation, up to a bound.
    with connection(daemon, key) as stream:
        lines = stream.makefile("rb")
        for _ in range(8):
            stream.sendall((json.dumps(status_request()) + "\n").encode())
            assert json.loads(lines.readline())["state"] == "absent"
        with contextlib.suppress(OSError):
            stream.sendall((json.dumps(status_request()) + "\n").encode())
        assert lines.readline() == b""
    # Who speaks no TLS is told nothing, and holds nobody up.
    with socket.create_connection(daemon.address.split(":"), timeout=60) as plain:
        plain.sendall((json.dumps(status_request()) + "\n").encode())
        with contextlib.suppress(OSError):
            assert b"helper" not in plain.recv(1000)
    assert ask(daemon, key, status_request())["state"] == "absent"
    assert "does not speak TLS" in daemon.reports


def test_who_is_slow_is_left_and_who_comes_too_often_is_not_let_in(house, daemon):
    key = Key(house.folder / "keys", "caller")
    daemon.allow("ada", key.fingerprint)
    host, port = daemon.address.split(":")
    with contextlib.ExitStack() as stack:
        # One stops in the middle of a line, the others before they have said anything.
        slow = stack.enter_context(connection(daemon, key))
        slow.sendall(b'{"helper": 1,')
        silent = [stack.enter_context(socket.create_connection((host, int(port)), timeout=60)) for _ in range(PER_ADDRESS - 1)]
        eventually(lambda: len(children(daemon.process.pid)) == PER_ADDRESS, about="a process for each connection")
        with socket.create_connection((host, int(port)), timeout=60) as one_too_many, contextlib.suppress(ConnectionError):
            assert one_too_many.recv(1) == b""
        assert "event=helper-full" in daemon.reports
        full = house.user("pool", "connect", "--trust", daemon.address, status=1)
        assert "has closed the connection" in full.stderr and "as many as it may" in full.stderr
        answer = json.loads(slow.makefile("rb").readline())
        assert answer["problem"]["status"] == "timeout"
        for each in silent:
            with contextlib.suppress(ConnectionError):
                assert each.recv(1) == b""
    eventually(lambda: not children(daemon.process.pid), about="the end of the connections")
    assert ask(daemon, key, status_request())["state"] == "absent"


def test_many_who_have_come_and_gone_take_no_room(house, daemon):
    key = Key(house.folder / "keys", "caller")
    daemon.allow("ada", key.fingerprint)
    host, port = daemon.address.split(":")
    # Each ends at about the time at which the next one is let in.
    for _ in range(400):
        socket.create_connection((host, int(port)), timeout=60).close()
    eventually(lambda: not children(daemon.process.pid), about="the end of the connections")
    with contextlib.ExitStack() as stack:
        for _ in range(PER_ADDRESS):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
        eventually(lambda: len(children(daemon.process.pid)) == PER_ADDRESS, about="a process for each connection")
    eventually(lambda: not children(daemon.process.pid), about="the end of the connections")
    assert ask(daemon, key, status_request())["state"] == "absent"


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_daemon_of_an_ordinary_user_serves_that_user_alone(house):
    port = free_port()
    key = Key(house.folder / "keys", "caller")
    become = ["setpriv", "--reuid", "ada", "--regid", "ada", "--clear-groups", "env", f"HOME={house.home('ada')}"]
    house.start(*become, house.programs / "lode", "worker", "--listen", "--address", f"127.0.0.1:{port}", log="mine.log")
    listens(port)
    folder = house.home("ada") / ".local/share/lode-helper"
    allow = house.start(*become, house.programs / "lode", "worker", "allow", key.fingerprint)
    assert allow.wait(60) == 0, house.said()
    assert (folder / "callers").read_text() == f"{key.fingerprint} ada\n"

    class Here:
        address = f"127.0.0.1:{port}"

    assert ask(Here, key, status_request())["account"] == "ada"
    (folder / "callers").write_text(f"{key.fingerprint} bob\n")
    answer = ask(Here, key, status_request())
    assert answer["problem"]["status"] == "denied" and "runs as ada, and cannot become bob" in answer["problem"]["detail"]


def test_certificates_of_an_authority_stand_for_accounts_by_name(house):
    authority = Key(house.folder / "keys", "authority", is_authority=True)
    other = Key(house.folder / "keys", "other", is_authority=True)
    daemon = Daemon(house, "--caller-ca", authority.certificate)
    daemon.allow("ada", "cn:Ada Lovelace")
    good = Key(house.folder / "keys", "Ada Lovelace", by=authority, stem="good")
    forged = Key(house.folder / "keys", "Ada Lovelace", by=other, stem="forged")
    own = Key(house.folder / "keys", "Ada Lovelace", stem="own")
    assert ask(daemon, good, status_request())["account"] == "ada"
    for each in (forged, own):
        assert ask(daemon, each, status_request())["problem"]["status"] == "denied"
    # The same by lode pool, once the caller's certificate is where its own would be made.
    house.site()
    folder = house.user.home / ".config" / "lode"
    folder.mkdir(parents=True)
    (folder / "caller.pem").write_bytes(good.certificate.read_bytes())
    (folder / "caller.key").write_bytes(good.key.read_bytes())
    assert house.user("pool", "key").stdout.strip() == good.fingerprint
    assert "ada" in house.user("pool", "status", "--trust", daemon.address, status=1).stdout


def test_a_changed_key_of_a_helper_is_refused(house):
    house.site()
    first = Daemon(house)
    first.allow("ada")
    done = house.user("pool", "status", first.address, status=1)
    assert first.said["fingerprint"] in done.stderr and "--trust" in done.stderr
    assert "absent" in house.user("pool", "status", "--trust", first.address, status=1).stdout
    assert "absent" in house.user("pool", "status", first.address, status=1).stdout
    first.process.terminate()
    assert first.process.wait(60) == 0
    second = Daemon(house, name="anew", address=first.address)
    second.allow("ada")
    for options in ([], ["--trust"]):
        done = house.user("pool", "status", *options, first.address, status=1)
        assert second.said["fingerprint"] in done.stderr and "known_helpers" in done.stderr, done.stderr
    (house.folder / "cluster").write_text(first.entry())
    assert "known_helpers" in house.user("pool", "status", "--hosts", house.folder / "cluster", status=1).stderr
    assert "helper-request" not in second.reports


# Under others


@pytest.mark.parametrize("how", ["listen", "accept"])
def test_under_a_socket_of_systemd(house, how):
    port = free_port()
    key = Key(house.folder / "keys", "caller")
    directory = house.folder / "helper"
    allow = house.lode("worker", "allow", key.fingerprint, "--account", "ada", "--directory", directory)
    assert allow.wait(60) == 0, house.said()
    options = ["--accept", "--inetd"] if how == "accept" else []
    mode = "--stdio" if how == "accept" else "--listen"
    house.start("/usr/bin/systemd-socket-activate", *options, "-l", f"127.0.0.1:{port}",
        house.programs / "lode", "worker", mode, "--directory", directory, log="activate.log")
    listens_later = lambda: f"{port:04X}" in pathlib.Path("/proc/net/tcp").read_text()  # noqa: E731
    eventually(listens_later, about="the socket")

    class Here:
        address = f"127.0.0.1:{port}"

    for _ in range(2):
        assert ask(Here, key, status_request())["account"] == "ada"
    assert "account=ada request=status" in house.said("activate.log")


def test_a_socket_of_the_machine_is_for_its_own_account_alone(house):
    path = house.folder / "helper.sock"
    house.start("/usr/bin/systemd-socket-activate", "--accept", "--inetd", "-l", path, house.programs / "lode", "worker", "--stdio", log="activate.log")
    eventually(path.exists)
    path.chmod(0o777)
    call = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(60); s.sendall(sys.argv[2].encode() + b'\\n');"
            "print(s.makefile().readline())")
    words = ["/usr/bin/python3", "-c", call, path, json.dumps(status_request(directory=str(house.folder / "pool")))]
    assert json.loads(house.start(*words).communicate(timeout=60)[0])["account"] == "root"
    stranger = house.start("setpriv", "--reuid", "ada", "--regid", "ada", "--clear-groups", *words)
    assert stranger.communicate(timeout=60)[0].strip() == ""
    assert "neither root nor this account" in house.said("activate.log")


def test_under_inetd_a_connection_on_standard_input_starts_a_worker(house):
    port = free_port()
    site = house.site()
    directory = house.folder / "helper"
    key = house.user("pool", "key").stdout.strip()
    assert house.lode("worker", "allow", key, "--account", "ada", "--directory", directory).wait(60) == 0, house.said()
    (house.folder / "inetd.conf").write_text(
        f"127.0.0.1:{port} stream tcp nowait root {house.programs}/lode lode worker --stdio --directory {directory}\n")
    house.start("/usr/sbin/inetd", "-i", house.folder / "inetd.conf", log="inetd.log")
    listens(port)
    address = f"127.0.0.1:{port}"
    done = hosts(house.user("pool", "start", "--trust", "--cpus", "1", "--name", "by-inetd", address, "--json"))[address]
    assert (done["state"], done["account"]) == ("started", "ada"), done
    assert status_of(done["pid"])[0] == [str(ACCOUNTS["ada"])] * 4
    eventually(lambda: is_idle(site, "by-inetd"))
    assert f"account=ada request=start site={site.fingerprint} state=started" in (directory / "helper.log").read_text()
    # A caller in plain text is told nothing and gets nothing.
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        plain.sendall((json.dumps(status_request()) + "\n").encode())
        with contextlib.suppress(OSError):
            assert b"helper" not in plain.recv(1000)
    assert hosts(house.user("pool", "stop", address, "--json"))[address]["state"] == "stopped"
    assert not is_alive(done["pid"])


@pytest.fixture
def cluster(house):
    """Machines on a network of their own."""
    network = make_network()
    yield network
    for site in house.sites:
        site.kill()  # Its worker behind the cut would hold up a graceful end.
    house.close_processes()
    network.close()


def test_daemons_on_three_machines_of_a_network(house, cluster):
    desk = cluster.node("desk")
    house.user.prefix = desk.prefix
    house.site(address=f"{desk.address}:0")
    lines = ""
    nodes = [cluster.node(f"node{number}") for number in range(3)]
    for number, node in enumerate(nodes):
        daemon = Daemon(house, name=f"node{number}", before=node.prefix, address=f"{node.address}:7730")
        daemon.allow("ada")
        lines += daemon.entry()
    (house.folder / "cluster").write_text(lines)
    done = hosts(house.user("pool", "start", "--hosts", house.folder / "cluster", "--cpus", "1", "--json"))
    # They share ada's home, as clusters do, and do not get into each other's way.
    assert sorted(each["name"] for each in done.values()) == ["node0", "node1", "node2"], done
    assert {each["state"] for each in done.values()} == {"started"} and len({each["directory"] for each in done.values()}) == 3
    out = house.user("run", "--count", "3", "--cpus", "1", "--", "sh", "-c", "sleep 1; echo done").stdout
    assert out.count("done") == 3
    workers = house.user.json("workers")["workers"]
    assert sorted(each["name"] for each in workers if each["state"] not in ("gone", "lost")) == ["node0", "node1", "node2"]
    again = hosts(house.user("pool", "start", "--hosts", house.folder / "cluster", "--json"))
    assert {each["state"] for each in again.values()} == {"running"}
    assert "node1" in house.user("workers").stdout
    # One machine is gone: the others are ended, and it is named.
    gone = list(done)[1]
    cluster.cut(desk, nodes[1])
    said = hosts(house.user("pool", "stop", "--hosts", house.folder / "cluster", "--timeout", "10s", "--json", status=1))
    assert {host: each["state"] for host, each in said.items()} == {host: "failed" if host == gone else "stopped" for host in done}
    cluster.heal()


def test_stop_gives_back_what_runs(house, daemon):
    site = house.site()
    daemon.allow("ada")
    house.user("pool", "start", "--trust", "--cpus", "1", "--notice", "1", daemon.address)
    job = house.user.json("submit", "--", "sh", "-c", "echo begun; sleep 500")["id"]
    eventually(lambda: site.api("GET", "/v1/status").json["tasks"]["running"] == 1)
    assert "stopped" in house.user("pool", "stop", daemon.address).stdout
    eventually(lambda: site.api("GET", f"/v1/jobs/{job}").json["tasks"]["running"] == 0)
    assert site.api("GET", f"/v1/jobs/{job}").json["state"] in ("queued", "waiting", "running")
    record = site.api("GET", f"/v1/jobs/{job}").json
    assert record["tasks"]["failed"] == 0, record
    site.api("POST", f"/v1/jobs/{job}/cancel")


def test_two_starts_at_once_start_one_worker(house, daemon):
    house.site()
    daemon.allow("ada")
    house.user("pool", "status", "--trust", daemon.address, status=1)
    starts = [house.user.start("pool", "start", "--cpus", "1", daemon.address, "--json") for _ in range(4)]
    said = []
    for process in starts:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (out, err)
        said.append(json.loads(out)["hosts"][0])
    assert sorted(each["state"] for each in said).count("started") == 1, said
    assert len({each["pid"] for each in said}) == 1, said


def test_the_helper_page_of_the_terminal_shows_progress_and_a_table(house, daemon):
    house.site()
    daemon.allow("ada")
    said, status = house.user.on_terminal("pool", "start", "--trust", "--cpus", "1", daemon.address)
    assert status == 0 and "HOST" in said and "started" in said, said


def test_a_helper_and_a_worker_do_not_mix(lode):
    for words in (["--stdio", "--cpus", "2"], ["--listen", "--site", "https://desk:7733"], ["--listen", "--stdio"]):
        assert lode("worker", *words, status=2).stderr, words
    done = lode("worker", "allow", "nobody-in-particular", status=2)
    assert "neither a fingerprint nor a name" in done.stderr
