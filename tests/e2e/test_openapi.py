"""The description of the API against the running server: every call that it names is there, and every answer has the shape that it says."""

import hashlib
import json
import os
import shutil
import signal

import jsonschema
import pytest
from conftest import ROOT, eventually

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())


def schema_of(method, path, code):
    """The schema of an answer, or None when it is not JSON; references lead into the document."""
    answer = DOCUMENT["paths"][path][method]["responses"][str(code)]
    content = answer.get("content", {}).get("application/json")
    return None if content is None else {**content["schema"], "components": DOCUMENT["components"]}


class Caller:
    """Calls the server by the document, checks each answer, and remembers what was called. `ask`: Site.api, or a call with a site's key."""

    def __init__(self, ask, called=None):
        self.ask = ask
        self.called = set() if called is None else called

    def __call__(self, method, path, code, body=None, /, query="", headers=None, **parameters):
        operation = DOCUMENT["paths"][path][method]
        url = path
        for name, value in parameters.items():
            url = url.replace("{%s}" % name, str(value))
        if isinstance(body, dict):
            sent = operation["requestBody"]["content"]["application/json"]["schema"]
            jsonschema.validate(body, {**sent, "components": DOCUMENT["components"]})
        answer = self.ask(method.upper(), url + query, body, headers)
        assert answer.code == code, (method, url, answer)
        schema = schema_of(method, path, code)
        if schema is not None:
            jsonschema.validate(answer.json, schema)
        self.called.add((method, path))
        return answer


@pytest.fixture
def call(site):
    return Caller(site.api)


def is_between_sites(path):
    return path.startswith(("/v1/federation", "/v1/hubs", "/v1/sites"))


def call_worker_keys(call, ocean):
    """A worker's key from its first word to its end; `ocean` makes calls with a key of its own."""
    hello = {"name": "desk-2", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1}
    assert ocean("POST", "/v1/workers", hello).json["type"] == "urn:lode:problem:worker_pending"
    key = call("get", "/v1/worker-keys", 200, query="?limit=1").json["worker_keys"][0]
    call("post", "/v1/worker-keys/{worker}/state", 200, {"state": "refused"}, worker=key["fingerprint"])
    call("delete", "/v1/worker-keys/{worker}", 204, worker="desk-2")
    token = call("post", "/v1/worker-invitations", 201, {"name": "desk-3", "expires_seconds": 60}).json["token"]
    enrolled = Caller(lambda method, url, body, _: ocean(method, url, body), call.called)
    assert enrolled("post", "/v1/worker-keys", 201, {"token": token, "name": "x"}).json["name"] == "desk-3"
    enrolled("get", "/v1/whoami", 200)


def test_every_call_of_the_description_answers_as_described(site, call, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("content")
    dataset = "t%3Aapi"
    call("get", "/v1/site", 200)
    call("get", "/v1/status", 200)
    assert call("get", "/v1/openapi.json", 200).json == DOCUMENT
    call("get", "/v1/whoami", 200)
    token = call("post", "/v1/tokens", 201, {"principal": "alice", "role": "user", "label": "laptop", "expires_seconds": 60}).json
    call("get", "/v1/tokens", 200)
    call("delete", "/v1/tokens/{token}", 204, token=token["token_id"])

    call("post", "/v1/groups", 201, {"name": "physics", "weight": 2})
    call("put", "/v1/groups/{group}/weight", 200, {"weight": 0.5}, group="physics")
    assert call("put", "/v1/groups/{group}/members/{member}", 200, group="physics", member="alice").json["members"] == ["alice"]
    assert call("get", "/v1/groups", 200).json["groups"][0]["weight"] == 0.5
    assert call("delete", "/v1/groups/{group}/members/{member}", 200, group="physics", member="alice").json["members"] == []
    call("delete", "/v1/groups/{group}", 204, group="physics")

    call("post", "/v1/datasets", 201, {"id": "t:api", "paths": [str(folder)], "aliases": ["doi:10.1234/api"], "title": "Some data"})
    eventually(lambda: call("get", "/v1/datasets/{id}", 200, query="?wait=5", id=dataset).json["state"] == "available")
    call("get", "/v1/datasets", 200)
    call("get", "/v1/datasets/{id}/files", 200, id=dataset)
    assert call("get", "/v1/datasets/{id}/content/{path}", 200, id=dataset, path="a").body == b"content"
    call("get", "/v1/resolve/{id}", 200, id="doi%3A10.1234%2FAPI")
    call("post", "/v1/datasets/{id}/verify", 202, {"mode": "full"}, id=dataset)
    eventually(lambda: call("get", "/v1/datasets/{id}", 200, id=dataset).json["state"] == "available")

    content = b"#!/bin/sh\necho answer > out.txt\n"
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    call("put", "/v1/blobs/{digest}", 201, content, digest=digest)
    call("get", "/v1/blobs/{digest}", 200, digest=digest)
    job = call("post", "/v1/jobs", 201, {
        "command": ["./run"], "files": [{"name": "run", "blob": digest, "executable": True}], "outputs": ["*.txt"],
        "data": [{"id": "t:api", "name": "d"}], "environment": {"K": "V"}, "count": 3}, query="?wait=60").json["id"]
    eventually(lambda: call("get", "/v1/jobs/{job}", 200, query="?wait=10", job=job).json["state"] == "succeeded")
    call("get", "/v1/jobs", 200)
    call("get", "/v1/jobs/{job}/why", 200, job=job)
    assert len(call("get", "/v1/jobs/{job}/tasks", 200, job=job).json["tasks"]) == 3
    call("get", "/v1/jobs/{job}/tasks/{index}", 200, job=job, index=1)
    call("get", "/v1/jobs/{job}/tasks/{index}/why", 200, job=job, index=1)
    call("get", "/v1/jobs/{job}/tasks/{index}/stdout", 200, job=job, index=1)
    call("get", "/v1/jobs/{job}/tasks/{index}/stderr", 200, job=job, index=1)
    assert len(call("get", "/v1/jobs/{job}/outputs", 200, job=job).json["outputs"]) == 3
    events = call("get", "/v1/jobs/{job}/events", 200, job=job)
    assert events.headers["Content-Type"].startswith("text/event-stream") and b"event: end" in events.body

    streamed = call("post", "/v1/jobs", 201, {"command": ["cat"], "mode": "stream", "count": 5}, query="?wait=60").json["id"]
    eventually(lambda: call("get", "/v1/jobs/{job}", 200, query="?wait=10", job=streamed).json["state"] == "succeeded")
    assert call("get", "/v1/jobs/{job}/answers", 200, job=streamed).body == b"0\n1\n2\n3\n4\n"

    failing = call("post", "/v1/jobs", 201, {"command": ["false"]}, query="?wait=60").json["id"]
    eventually(lambda: call("get", "/v1/jobs/{job}", 200, query="?wait=10", job=failing).json["state"] == "failed")
    call("post", "/v1/jobs/{job}/retry", 200, job=failing)

    deadly = call("post", "/v1/jobs", 201, {"command": ["sleep", "1000"], "retries": {"lost": 0}}).json["id"]
    eventually(lambda: call("get", "/v1/jobs/{job}", 200, job=deadly).json["tasks"]["running"])
    for pid in site.workers():
        os.kill(pid, signal.SIGKILL)
    assert call("get", "/v1/jobs/{job}", 200, query="?wait=60", job=deadly).json["state"] == "held"
    assert call("get", "/v1/jobs/{job}/tasks", 200, query="?state=held", job=deadly).json["tasks"][0]["index"] == 0
    assert call("get", "/v1/jobs/{job}/tasks/{index}/why", 200, job=deadly, index=0).json["evidence"]
    assert call("get", "/v1/jobs/{job}/tasks/{index}", 200, job=deadly, index=0).json["failed_attempts"][0]["cause"] == "lost"
    assert call("post", "/v1/jobs/{job}/tasks/{index}/retry", 200, job=deadly, index=0).json["tasks"]["held"] == 0
    call("post", "/v1/jobs/{job}/cancel", 200, job=deadly)
    slow = call("post", "/v1/jobs", 201, {"command": ["sleep", "300"]}).json["id"]
    call("post", "/v1/jobs/{job}/replan", 409, {"reason": "the sea is rough"}, job=slow)
    call("post", "/v1/jobs/{job}/cancel", 200, job=slow)

    call("get", "/v1/workers", 200, query="?limit=1&cursor=0")
    worker = call("post", "/v1/workers", 201, {
        "name": "test", "cpus": 1, "memory_bytes": 1 << 20, "disk_bytes": 1 << 20, "version": "0",
        "sandbox": {"kind": "none", "enforced": [], "not_enforced": ["memory"]}}).json["worker"]
    call("post", "/v1/groups", 201, {"name": "spare"})
    moved = call("put", "/v1/workers/{worker}/groups", 200, {"groups": ["spare"]}, worker=worker).json
    assert moved["groups"] == ["spare"]
    named = call("post", "/v1/workers", 201, {"name": "lost", "cpus": 1, "memory_bytes": 1 << 20, "disk_bytes": 1 << 20, "version": "0",
                                              "sandbox": {"kind": "none", "enforced": [], "not_enforced": []}, "groups": ["spare", "spaer"]}).json
    assert named["unknown_groups"] == ["spaer"]
    assert call("post", "/v1/workers/{worker}/poll", 200, {"leaving": True, "gone": True}, worker=named["worker"]).json["leases"] == []
    call("put", "/v1/workers/{worker}/groups", 200, {"groups": []}, worker=worker)
    call("post", "/v1/workers/{worker}/poll", 200, {"wait_seconds": 0, "leases": []}, worker=worker)
    assert call("post", "/v1/workers/{worker}/drain", 200, {"in_seconds": 600}, worker=worker).json["leaves_at"]
    polled = call("post", "/v1/workers/{worker}/poll", 200, {"wait_seconds": 0, "leaves_in_seconds": 60, "leaving": False}, worker=worker)
    assert 0 < polled.json["drain_in_seconds"] <= 600
    call("delete", "/v1/workers/{worker}/drain", 200, worker=worker)
    call("post", "/v1/workers", 201, {"name": "link", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1, "place": "sha256:" + "a" * 64})
    call("get", "/v1/places", 200, query="?wait=0&version=0")
    # The key of a site is as good as any to be a worker's.
    shutil.copytree(site.directory, tmp_path / "key", ignore=lambda _, names: [name for name in names if not name.endswith(".pem")])
    call_worker_keys(call, lambda method, url, body: site.api(method, url, body, as_site=tmp_path / "key"))
    # A job that only a worker of this test is large enough for.
    large = call("post", "/v1/workers", 201, {
        "name": "large", "cpus": 1000, "memory_bytes": 1 << 40, "disk_bytes": 1 << 40, "view": "of another machine"}).json["worker"]
    told = call("post", "/v1/jobs", 201, {"command": ["true"], "cpus": 999, "data": [{"id": "t:api", "name": "d"}]}).json["id"]
    orders = call("post", "/v1/workers/{worker}/poll", 200, {"wait_seconds": 20, "leases": []}, worker=large).json
    (file,) = orders["jobs"][0]["data"][0]["files"]
    there = {"worker": large, "job": told, "name": "d", "path": "a"}
    assert call("get", "/v1/workers/{worker}/jobs/{job}/data/{name}/{path}", 200, query=f"?digest={file['digest']}", **there).body == b"content"
    source = {"job": told, "digest": file["digest"]}
    assert call("post", "/v1/workers/{worker}/sources", 200, {**source, "failed": [], "unreached": [9]}, worker=large).json == {"from": "site"}
    call("post", "/v1/workers/{worker}/sources", 200, {**source, "has_it": True}, worker=large)
    notes = [[told, "waiting", "worker large fetches its inputs", "nothing needs to be done"]]
    call("post", "/v1/workers/{worker}/poll", 200, {"wait_seconds": 0, "notes": notes}, worker=large)
    assert "worker large fetches its inputs" in call("get", "/v1/jobs/{job}/why", 200, job=told).json["why"]
    call("post", "/v1/jobs/{job}/cancel", 200, job=told)

    plan = call("post", "/v1/plans", 200, {"job": {"command": ["true"], "data": [{"id": "t:api", "name": "d"}]}}).json
    assert plan["chosen"] == "local" and plan["candidates"][0]["data"] == ["t:api"]
    here = call("post", "/v1/transfers", 202, {"id": "t:api"}).json
    assert here["state"] == "done"
    call("get", "/v1/transfers/{transfer}", 200, query="?wait=0&version=0", transfer=here["id"])
    hopeless = call("post", "/v1/transfers", 202, {"id": "t:nowhere"}).json["id"]
    assert call("get", "/v1/transfers", 200, query="?limit=1").json["next"] == str(hopeless)
    call("delete", "/v1/transfers/{transfer}", 204, transfer=hopeless)
    eventually(lambda: call("get", "/v1/transfers/{transfer}", 200, query="?wait=5", transfer=hopeless).json["state"] == "cancelled")
    call("delete", "/v1/datasets/{id}", 204, id=dataset)

    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods if not is_between_sites(path)}
    assert described == call.called


def test_the_calls_between_sites_answer_as_described(federation):
    hub = federation.hub("hub", "--join", "open", workers=1)
    ocean = federation.site("ocean")
    ocean.add_data("t:api")
    call = Caller(ocean.api)
    at_hub = Caller(hub.api, call.called)
    as_ocean = Caller(lambda method, url, body, _: hub.peer_call(method, url, body, by=ocean), call.called)
    statement = as_ocean("get", "/v1/federation/site", 200)
    assert statement.json["name"] == "hub"
    own = ocean.peer_call("GET", "/v1/federation/site").json
    as_ocean("post", "/v1/federation/announce", 200, own, query="?mode=both")
    beat, *batches = call("get", "/v1/federation/poll", 200, query="?epoch=0&after=0").body.splitlines(keepends=True)
    as_ocean("post", "/v1/federation/heartbeat", 200, json.loads(beat))
    as_ocean("post", "/v1/federation/logs/{site}", 200, b"".join(batches), site=ocean.fingerprint)
    copy = as_ocean("get", "/v1/federation/logs/{site}", 200, query="?epoch=0&after=0", site=ocean.fingerprint).body
    assert copy.splitlines(keepends=True)[1:] == batches[1:]  # Behind the head, which is signed anew for each who asks.
    assert len(as_ocean("get", "/v1/federation/changes", 200, query="?cursor=x&wait=1").body.splitlines()) == 3
    as_ocean("get", "/v1/federation/sites/{site}", 200, site=ocean.fingerprint)
    as_ocean("get", "/v1/federation/sites/{site}", 200, site="ocean")
    eventually(lambda: hub.api("GET", "/v1/workers").json["workers"])
    offer = as_ocean("post", "/v1/federation/offers", 200, {"data": [], "count": 3, "cpus": 0.5, "task_seconds": 2, "stage": False}).json
    assert offer["site"] == hub.fingerprint and offer["run_seconds"] >= 2
    call("post", "/v1/hubs", 201, {"url": hub.url, "fingerprint": hub.fingerprint, "mode": "push"})
    assert len(call("get", "/v1/hubs", 200).json["hubs"]) == 1
    eventually(lambda: call("get", "/v1/sites", 200).json["sites"][0]["state"] == "up")
    eventually(lambda: at_hub("get", "/v1/sites", 200, query="?limit=1").json["sites"][0]["state"] == "up")
    at_hub("post", "/v1/sites/{site}/standing", 200, {"standing": "pending"}, site="ocean")
    call("delete", "/v1/hubs/{site}", 204, site="hub")
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods if is_between_sites(path)}
    assert described == call.called


def test_plans_and_transfers_across_sites_answer_as_described(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    land = federation.site("land", workers=1)
    ocean.add_data("t:api")
    ocean.add_hub(hub)
    land.add_hub(hub)
    call = Caller(ocean.api)
    eventually(lambda: land("resolve", "t:api", "--anew", status=None).returncode == 0)
    eventually(lambda: land.api("GET", "/v1/workers").json["workers"])
    plan = call("post", "/v1/plans", 200, {"job": {"command": ["true"], "at": "land", "stage": "never"}}).json
    assert plan["chosen"] == "at" and [site["has_offer"] for site in plan["candidates"]] == [False, True]
    ordered = call("post", "/v1/transfers", 202, {"id": "t:api", "to": "land", "from": "ocean"}).json
    assert ordered["site"] == land.fingerprint
    there = {"query": f"?wait=5&site={land.fingerprint}", "transfer": ordered["id"]}
    eventually(lambda: call("get", "/v1/transfers/{transfer}", 200, **there).json["state"] == "done")
    ended = ocean.api("DELETE", f"/v1/transfers/{ordered['id']}?site=land")
    assert ended.code == 409 and "has ended" in ended.json["detail"]


def test_no_path_is_served_by_methods_that_are_not_described(make_site):
    site = make_site(options=["--workers", "0"])
    for path, methods in DOCUMENT["paths"].items():
        for method in {"get", "put", "post", "delete", "patch"} - set(methods):
            url = path.replace("{job}", "1").replace("{index}", "0").replace("{worker}", "1").replace("{id}", "a%3Ab")
            url = url.replace("{transfer}", "1").replace("{name}", "d")
            url = url.replace("{digest}", "sha256:" + "0" * 64).replace("{token}", "1").replace("{path}", "x").replace("{site}", "sha256:" + "0" * 64)
            answer = site.api(method.upper(), url, b"" if method != "get" else None)
            assert answer.code == 405, (method, url, answer)
            assert answer.headers["Content-Type"].startswith("application/problem+json")
