"""What home knew when it planned a job does not hold any more when the job comes to the other site."""

import json
import os
import pathlib
import signal

import pytest
from conftest import eventually, processes_of


def link_of(site):
    """The process that carries its jobs to other sites."""
    for pid in processes_of(site.user.folder):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:2] == [b"link"] and f"{site.directory}/link".encode() in words:
            return pid
    return None


class Held:
    """While the link of a site is stopped, what was planned does not go out."""

    def __init__(self, site):
        self.pid = eventually(lambda: link_of(site), about="the link")

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def pair(federation):
    """A hub, ocean with a worker and t:sea, and home, which has sent a job there already."""
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean", workers=1)
    home = federation.site("home")
    for member in (ocean, home):
        member.add_hub(hub)
    ocean.add_data("t:sea", text="salt\n")
    knows(home, ocean, "t:sea")
    eventually(lambda: home("run", "--data", "t:sea", "--", "true", status=None).returncode == 0, about="a worker at ocean")
    return home, ocean


def digest_of(ocean, name):
    return json.loads(ocean("data", "show", name, "--json").stdout)["digest"]


def knows(home, ocean, name):
    """Waits until home is told of the data as it is at ocean now."""

    def is_told():
        answer = home("resolve", name, "--anew", "--json", status=None)
        return answer.returncode == 0 and json.loads(answer.stdout)["locations"][0]["entry"]["digest"] == digest_of(ocean, name)

    eventually(is_told, about=f"{name} is known at home")


def submit(home, *words):
    return json.loads(home("submit", "--json", *words).stdout)["id"]


def ended(home, job):
    def look():
        shown = home.api("GET", f"/v1/jobs/{job}").json
        return shown if shown["state"] in ("succeeded", "failed", "cancelled") else None

    return eventually(look, 90, f"the end of job {job}")


def data_input(home, job):
    inputs = home.api("GET", f"/v1/jobs/{job}/tasks/0").json["inputs"]
    return next(each["digest"] for each in inputs if each["kind"] == "data" and each["path"] is None)


def change(ocean, name, text):
    """Registers it anew with other content."""
    ocean("data", "remove", name)
    ocean.add_data(name, text=text)


@pytest.mark.parametrize("option", ["--data", "--over"])
def test_data_registered_anew_before_the_job_came_is_what_it_is_computed_from_and_known_by(pair, option):
    home, ocean = pair
    before = digest_of(ocean, "t:sea")
    with Held(home):
        job = submit(home, option, "t:sea", "--", "sh", "-c", "cat /data/sea/*")
        change(ocean, "t:sea", "sweet\n")
        knows(home, ocean, "t:sea")
    shown = ended(home, job)
    assert shown["state"] == "succeeded", shown
    assert home.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"sweet\n"
    now = digest_of(ocean, "t:sea")
    assert now != before and data_input(home, job) == now
    # What home keeps of it is of the new content: the same again is answered from there, and is the new content.
    again = home("run", option, "t:sea", "--", "sh", "-c", "cat /data/sea/*")
    assert again.stdout == "sweet\n" and "from the cache" in again.stderr


def test_a_job_for_content_that_is_gone_fails_with_both_digests(pair):
    home, ocean = pair
    before = digest_of(ocean, "t:sea")
    with Held(home):
        job = submit(home, "--data", f"t:sea@{before}", "--", "cat", "/data/sea/file.txt")
        change(ocean, "t:sea", "sweet\n")
        knows(home, ocean, "t:sea")
    now = digest_of(ocean, "t:sea")
    shown = ended(home, job)
    assert shown["state"] == "failed" and before in shown["message"] and now in shown["message"]


def test_why_says_that_it_is_planned_anew(pair):
    home, ocean = pair
    with Held(home):
        job = submit(home, "--data", "t:sea", "--stage", "never", "--", "cat", "/data/sea/file.txt")
        ocean("data", "remove", "t:sea")
    said = "planned anew, there is no way yet"
    why = eventually(lambda: (lambda text: text if said in text else None)(home.api("GET", f"/v1/jobs/{job}/why").json["why"]), about="the reason")
    assert "refused it" in why and "t:sea" in why
    ocean.add_data("t:sea", text="sweet\n")
    assert ended(home, job)["state"] == "succeeded"
    assert home.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"sweet\n"


def test_a_user_who_names_other_content_is_told_so_at_once(pair):
    home, ocean = pair
    wrong = "sha256:" + "0" * 64
    result = home("run", "--data", f"t:sea@{wrong}", "--", "true", status=None)
    assert result.returncode != 0 and wrong in result.stderr
    result = ocean("run", "--over", f"t:sea@{wrong}", "--", "true", status=None)
    assert result.returncode != 0 and wrong in result.stderr
    assert home("run", "--data", f"t:sea@{digest_of(ocean, 't:sea')}", "--", "true").returncode == 0


def test_a_job_comes_under_its_offer_and_both_sites_keep_that(pair):
    home, ocean = pair
    job = submit(home, "--data", "t:sea", "--count", "2", "--", "echo", "{index}")
    shown = ended(home, job)
    there = ocean.api("GET", "/v1/jobs").json["jobs"][0]
    assert shown["offer"]["offer"] and shown["offer"] == there["offer"]
    assert shown["offer"]["core_hours"] == pytest.approx(2 / 3600, rel=0.1)
    assert home.api("GET", f"/v1/jobs/{job}/tasks/1").json["offer"] == shown["offer"]


def test_an_offer_that_does_not_stand_any_more_is_asked_for_anew(pair):
    home, ocean = pair
    with Held(home):
        job = submit(home, "--data", "t:sea", "--", "echo", "done")
        first = home.api("GET", f"/v1/jobs/{job}").json["offer"]["offer"]
        ocean.stop()  # It keeps its promises in memory.
        ocean.start()
    shown = ended(home, job)
    assert shown["state"] == "succeeded", shown
    assert shown["offer"]["offer"] != first
    assert ocean.api("GET", "/v1/jobs").json["jobs"][0]["offer"]["offer"] == shown["offer"]["offer"]
