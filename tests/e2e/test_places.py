"""Places, as a worker that takes jobs to another site sees them over the wire."""

import json

import pytest
from conftest import eventually
from test_bad_input import assert_problem
from test_faults import submit, wait_for

OCEAN = "sha256:0cea" + "a" * 60


class Link:
    """A worker of another place, played by the test: it speaks the protocol and runs nothing."""

    def __init__(self, site, place=OCEAN):
        self.site = site
        made = site.api("POST", "/v1/tokens", {"principal": "link", "role": "worker", "label": "link"})
        assert made.code == 201, made
        self.token = made.json["token"]
        hello = {"name": "link", "cpus": 1000, "memory_bytes": 1 << 50, "disk_bytes": 1 << 50, "place": place}
        answer = self.ask("POST", "/v1/workers", hello)
        assert answer.code == 201, answer
        self.number = answer.json["worker"]

    def ask(self, method, path, body=None):
        return self.site.api(method, path, body, token=self.token)

    def poll(self, **body):
        answer = self.ask("POST", f"/v1/workers/{self.number}/poll", {"leases": [], **body})
        assert answer.code == 200, answer
        return answer.json


def test_a_worker_of_another_place_gets_nothing_of_this_site(make_site):
    site = make_site(options=["--workers", "0"])
    link = Link(site)
    job = submit(site, command=["true"])
    assert link.poll()["leases"] == []
    why = site.api("GET", f"/v1/jobs/{job}/why").json["why"]
    assert "there are no workers" in why, why
    listed = {each["name"]: each["place"] for each in site.api("GET", "/v1/workers").json["workers"]}
    assert listed == {"link": OCEAN}
    assert site.api("GET", "/v1/status").json["workers"] == 0
    assert site.api("GET", f"/v1/jobs/{job}").json["place"] is None


def test_places_are_for_workers(make_site):
    site = make_site(options=["--workers", "0"])
    link = Link(site)
    answer = link.ask("GET", "/v1/places?wait=1&version=0")
    assert answer.code == 200 and answer.json["places"] == []
    again = link.ask("GET", f"/v1/places?wait=1&version={answer.json['version']}")
    assert again.json == answer.json
    user = site.api("POST", "/v1/tokens", {"principal": "alice", "role": "user", "label": "x"}).json["token"]
    assert_problem(site.api("GET", "/v1/places", token=user), 403, "administrators")
    assert_problem(link.ask("GET", "/v1/places?version=-1"), 400, "version")


@pytest.mark.parametrize("problem", ["down", {"text": ""}, {"text": "a", "change": "b", "more": 1}])
def test_a_problem_has_a_text_and_a_way_out(make_site, problem):
    link = Link(make_site(options=["--workers", "0"]))
    assert_problem(link.ask("POST", f"/v1/workers/{link.number}/poll", {"problem": problem}), 400)
    link.poll(problem={"text": "it does not answer", "change": "it is asked again in 4 s"})


def test_a_place_is_a_fingerprint(make_site):
    site = make_site(options=["--workers", "0"])
    hello = {"name": "link", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1, "place": "ocean"}
    assert_problem(site.api("POST", "/v1/workers", json.dumps(hello).encode(), {"Content-Type": "application/json"}), 400, "place")


def test_a_link_beside_the_sites_own_worker_is_not_in_its_way(site):
    Link(site)
    job = submit(site, command=["true"], count=50)
    assert wait_for(site, job)["state"] == "succeeded"
    assert eventually(lambda: site.api("GET", "/v1/status").json["workers"]) == 1
