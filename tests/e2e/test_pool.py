"""`lode pool` over a real sshd: which machines, which workers, and what is said of each."""

import os
import pathlib
import subprocess

import pytest
from accounts import ACCOUNTS, environment_of, free_port, house, listens, status_of  # noqa: F401  (a fixture)
from conftest import eventually
from pooled import hosts, is_alive, is_idle, runs


class Sshd:
    """OpenSSH's server in a house: ada may log in with a key of the operator's."""

    def __init__(self, house):
        self.house = house
        self.port = free_port()
        folder = house.folder
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\n"
            "StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nAllowUsers ada\nPrintMotd no\n")
        kind, key = (folder / "host_key.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        house.start("/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config", log="sshd.log")
        listens(self.port)

    @property
    def options(self):
        """What `lode pool` needs to get there."""
        folder = self.house.folder
        ssh = (f"ssh -F none -i {folder}/user_key -p {self.port} -o BatchMode=yes -o ConnectTimeout=30"
               f" -o UserKnownHostsFile={folder}/known_hosts -o StrictHostKeyChecking=yes")
        return ["--ssh", ssh, "--lode", str(self.house.programs / "lode")]


@pytest.fixture
def sshd(house):
    return Sshd(house)


def test_a_worker_is_started_by_ssh_enrolled_and_stays(house, sshd):
    site = house.site()
    user = house.user
    done = user("pool", "start", *sshd.options, "--cpus", "1", "--name", "{host}-by-ssh", "--label", "zone=hall2", "--serve", "auto", "ada@127.0.0.1",
                "--json")
    started = hosts(done)["ada@127.0.0.1"]
    assert (started["state"], started["account"], started["name"]) == ("started", "ada", "127.0.0.1-by-ssh"), started
    pid = started["pid"]
    keys = site.api("GET", "/v1/worker-keys").json["worker_keys"]
    assert [(key["name"], key["state"], key["trust"], key["fingerprint"]) for key in keys] == [
        ("127.0.0.1-by-ssh", "accepted", "invitation", started["fingerprint"])]
    eventually(lambda: "event=serving url=https://127.0.0.1:" in (pathlib.Path(started["directory"]) / "worker.log").read_text())
    # It is ada's, in a session of its own, and nothing of the connection is left in it.
    assert status_of(pid)[0] == [str(ACCOUNTS["ada"])] * 4
    assert os.getsid(pid) == pid
    assert environment_of(pid).keys() == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG"}
    assert started["directory"].startswith(str(house.home("ada") / ".local/share/lode-pool"))
    assert "lode_join_" not in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    eventually(lambda: is_idle(site, "127.0.0.1-by-ssh"))
    assert user("run", "--require", "zone=hall2", "--", "echo", "there").stdout == "there\n"
    # Another start finds it, and leaves it as it is.
    again = hosts(user("pool", "start", *sshd.options, "ada@127.0.0.1", "--json"))["ada@127.0.0.1"]
    assert (again["state"], again["pid"], again["fingerprint"]) == ("running", pid, started["fingerprint"])
    table = user("pool", "status", *sshd.options, "ada@127.0.0.1").stdout
    assert "running" in table and str(pid) in table and started["name"] in table
    assert hosts(user("pool", "status", *sshd.options, "ada@127.0.0.1", "--json"))["ada@127.0.0.1"]["name"] == started["name"]
    again = hosts(user("pool", "start", *sshd.options, "ada@127.0.0.1", "--name", "another", "--json"))["ada@127.0.0.1"]
    assert (again["state"], again["name"]) == ("running", started["name"])
    assert hosts(user("pool", "stop", *sshd.options, "ada@127.0.0.1", "--json"))["ada@127.0.0.1"]["state"] == "stopped"
    assert not is_alive(pid)
    absent = user("pool", "status", *sshd.options, "ada@127.0.0.1", status=1)
    assert "absent" in absent.stdout
    # It comes back with the key that it had.
    back = hosts(user("pool", "start", *sshd.options, "ada@127.0.0.1", "--name", "127.0.0.1-by-ssh", "--json"))["ada@127.0.0.1"]
    assert back["state"] == "started" and back["fingerprint"] == started["fingerprint"] and back["pid"] != pid
    runs(user, "back")


def test_what_failed_is_told_for_each_machine_and_the_others_are_started(house, sshd):
    house.site()
    (house.folder / "cluster").write_text("# all of them\nada@127.0.0.1   # good\nbob@127.0.0.1\n")
    done = house.user("pool", "start", *sshd.options, "--hosts", house.folder / "cluster", "--sandbox", "bubblewrap", "--json", status=1)
    said = hosts(done)
    assert said["ada@127.0.0.1"]["state"] == "started"
    assert said["bob@127.0.0.1"]["state"] == "failed" and "Permission denied" in said["bob@127.0.0.1"]["problem"]["detail"]
    done = house.user("pool", "status", *sshd.options[:2], "--lode", "/nowhere/lode", "ada@127.0.0.1", status=1)
    assert "failed" in done.stdout and "not found" in done.stderr and "--lode PATH" in done.stderr
    done = house.user("pool", "status", *sshd.options, "--account", "bob", "ada@127.0.0.1", status=1)
    assert "the account here is ada, and not bob" in done.stderr


def test_one_bad_name_asks_no_machine(house, sshd):
    house.site()
    for bad in ("-oProxyCommand=touch", "ada@127.0.0.1;id", "a/b"):
        done = house.user("pool", "start", *sshd.options, "--", "ada@127.0.0.1", bad, status=2)
        assert "is no machine" in done.stderr, done.stderr
    assert "helper-request" not in house.said("sshd.log")


def test_a_worker_that_cannot_serve_says_why(house, sshd):
    site = house.site()

    def problem(*options):
        refused = house.user("pool", "start", *sshd.options, *options, "ada@127.0.0.1", "--json", status=1)
        return hosts(refused)["ada@127.0.0.1"]["problem"]

    assert "label" in problem("--label", "=x")["detail"]
    # The site is elsewhere, or is another one than was meant.
    nobody = problem("--reach", f"https://127.0.0.1:{free_port()}")
    assert nobody["status"] == "unavailable" and "127.0.0.1" in nobody["detail"], nobody
    # A name that another worker has.
    house.user("pool", "start", *sshd.options, "--name", "mine", "ada@127.0.0.1")
    house.user("pool", "stop", *sshd.options, "ada@127.0.0.1")
    taken = problem("--name", "mine", "--directory", str(house.home("ada") / "other"))
    assert taken["status"] == "conflict" and "mine" in taken["detail"], taken
    site.kill()
    gone = house.user("pool", "status", *sshd.options, "ada@127.0.0.1", status=1)
    assert "absent" in gone.stdout  # The machines are asked without the site.


def test_a_site_of_this_machine_alone_is_not_given_to_others(house):
    site = house.site()
    done = house.user("pool", "start", "node7", status=1)
    assert f"{site.url} is an address of the site for this machine alone" in done.stderr and "--reach URL" in done.stderr


def test_a_key_of_ssh_that_may_do_nothing_else_is_enough(house, sshd):
    house.site()
    key = (house.folder / "user_key.pub").read_text()
    (house.folder / "authorized_keys").write_text(f'restrict,command="{house.programs}/lode worker --stdio" {key}')
    done = house.user("pool", "start", *sshd.options[:2], "--lode", "rm -rf", "ada@127.0.0.1")
    assert "started" in done.stdout


def test_without_an_invitation_a_worker_waits_for_the_operator(house, sshd):
    site = house.site()
    done = hosts(house.user("pool", "start", *sshd.options, "--no-invite", "--name", "newcomer", "ada@127.0.0.1", "--json"))["ada@127.0.0.1"]
    assert done["state"] == "pending"
    house.user("worker", "accept", done["fingerprint"])
    eventually(lambda: is_idle(site, "newcomer"))


def test_a_class_comes_with_the_invitation(house, sshd):
    site = house.site("--open")
    house.user("pool", "start", *sshd.options, "--class", "spare", "--name", "lent", "ada@127.0.0.1")
    assert [key["class"] for key in site.api("GET", "/v1/worker-keys").json["worker_keys"]] == ["spare"]
    done = house.user("pool", "start", *sshd.options, "--class", "spare", "--no-invite", "ada@127.0.0.1", status=2)
    assert "--no-invite makes none" in done.stderr


def test_an_open_site_needs_no_invitation(house, sshd):
    site = house.site("--open")
    done = hosts(house.user("pool", "start", *sshd.options, "--name", "guest", "ada@127.0.0.1", "--json"))["ada@127.0.0.1"]
    assert done["state"] == "started"
    keys = site.api("GET", "/v1/worker-keys").json["worker_keys"]
    assert [key["trust"] for key in keys] == ["open"]


def fake_ssh(house, text):
    """A program in the place of ssh: how a machine answers that is not there."""
    path = house.folder / "fake-ssh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return ["--ssh", str(path), "--directory", str(house.folder / "pool")]


def test_no_more_machines_are_asked_at_once_than_was_said(house):
    house.site()
    options = fake_ssh(house, f"""
        echo $$ >> {house.folder}/pids
        alive=0
        for pid in $(cat {house.folder}/pids); do kill -0 $pid 2>/dev/null && alive=$((alive + 1)); done
        echo $alive >> {house.folder}/counts
        shift
        "{house.programs}/$1" worker --stdio""")
    names = [f"node{number}" for number in range(30)]
    done = house.user("pool", "status", *options, "--parallel", "3", *names, "node1", "--json", status=1)
    said = hosts(done)
    assert list(said) == names and {each["state"] for each in said.values()} == {"absent"}
    counts = [int(line) for line in (house.folder / "counts").read_text().split()]
    assert len(counts) == 30 and max(counts) <= 3


def test_a_machine_that_is_silent_is_given_up_and_none_of_it_is_left(house):
    house.site()
    options = fake_ssh(house, f"echo $$ > {house.folder}/pid; echo 'connecting to' $1 >&2; sleep 1000 & wait")
    done = house.user("pool", "status", *options, "--timeout", "1s", "node7", status=1)
    assert "lode: node7: connecting to node7" in done.stderr, done.stderr
    pid = int((house.folder / "pid").read_text())
    eventually(lambda: not is_alive(pid), about="the end of what led to the machine")
    options = fake_ssh(house, "echo 'Welcome to node7'; echo '{\"not\": \"a helper\"}'; sleep 1000")
    done = house.user("pool", "status", *options, "node7", status=1)
    assert "what answers is no helper" in done.stderr
