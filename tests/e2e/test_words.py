"""What another site says of why a job has not begun there is in `why` at home."""

import os
import signal

from conftest import eventually
from test_travel import ended, link_pids, sites, submit  # noqa: F401


def why(site, job):
    return site.api("GET", f"/v1/jobs/{job}/why").json


def await_why(site, job, *words):
    return eventually(lambda: (lambda said: said if all(word in said["why"] for word in words) else None)(why(site, job)), 60, f"{words} in why of job {job}")


def fill(there, folder):
    """Jobs that take all slots of the site until the gate is open."""

    def workers():
        return [worker for worker in there.api("GET", "/v1/workers").json["workers"] if worker["state"] not in ("gone", "lost")]

    for worker in eventually(workers, 60, "the workers there"):
        script = f"while [ ! -e {folder}/gate ]; do sleep 0.05; done; echo {worker['id']}"
        assert there.api("POST", "/v1/jobs", {"command": ["sh", "-c", script], "cpus": worker["cpus"]}).code == 201
    eventually(lambda: there.api("GET", "/v1/status").json["tasks"]["running"] == len(workers()), 60, "a full site")


def test_why_at_home_gives_the_words_of_the_site_where_a_job_is_queued(sites, folder):  # noqa: F811
    home, there = sites
    fill(there, folder)
    queued = submit(home, {"command": ["sh", "-c", f"while [ ! -e {folder}/end ]; do sleep 0.05; done"]})["id"]
    said = await_why(home, queued, "1 of its tasks was handed to site there at 20", "none of its tasks has begun there yet", "site there says: all workers are busy")
    assert said["change"].startswith("at site there: ")
    # They are asked for anew by another link, and told anew to a site that was started anew.
    for pid in link_pids(home):
        os.kill(pid, signal.SIGKILL)
    await_why(home, queued, "site there says: all workers are busy")
    home.kill()
    home.start()
    await_why(home, queued, "site there says: all workers are busy")
    (folder / "gate").touch()
    eventually(lambda: "says" not in why(home, queued)["why"] and "it runs there" in why(home, queued)["why"], 60, "the end of the words")
    (folder / "end").touch()
    assert ended(home, queued)["state"] == "succeeded"



def test_why_at_home_says_that_it_runs_only_when_it_does(sites, folder):  # noqa: F811
    home, there = sites
    fill(there, folder)
    queued = submit(home, {"command": ["sh", "-c", f"while [ ! -e {folder}/end ]; do sleep 0.05; done"]})["id"]
    seen = []

    def says(words):
        seen.append(why(home, queued)["why"])
        return words in seen[-1]

    eventually(lambda: says("none of its tasks has begun there yet"), 60, "that nothing has begun")
    assert not [text for text in seen if "it runs there" in text], seen
    (folder / "gate").touch()
    eventually(lambda: says("it runs there"), 60, "its run")
    # Who knew nothing of it any more does not take back what it said.
    seen.clear()
    for pid in link_pids(home):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: link_pids(home) and says("; it runs there"), 60, "the words by another link")
    home.kill()
    home.start()
    eventually(lambda: says("it runs there"), 60, "the words to a site that was started anew")
    assert not [text for text in seen if "has begun there yet" in text], seen
    (folder / "end").touch()
    assert ended(home, queued)["state"] == "succeeded"
