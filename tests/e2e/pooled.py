"""What tests of `lode pool` look at: machines, their workers and processes."""

import json
import pathlib


def hosts(done):
    """The machines in what `lode pool ... --json` printed, by what they were called."""
    return {each["host"]: each for each in json.loads(done.stdout)["hosts"]}


def is_idle(site, name):
    return any(each["name"] == name and each["state"] == "idle" for each in site.api("GET", "/v1/workers").json["workers"])


def is_alive(pid):
    try:
        return b") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False


def runs(user, word):
    assert user("run", "--", "echo", word).stdout == word + "\n"
