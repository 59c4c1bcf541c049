"""What whoever steals a task's token, or a worker's token or key, can do with it: each call of the API is tried."""

import hashlib
import json
import shutil

import pytest
from conftest import ROOT, eventually

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
CALLS = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
OWN = b"of the job\n"
FOREIGN = b"of another job\n"
HELLO = {"name": "desk-9", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1}
PRINTS_TOKEN = 'echo "$LODE_TOKEN"; exec sleep 1000'

# Need the key of a site, whose signature their bodies must have.
OF_SITES = {("post", f"/v1/federation/{path}") for path in ("announce", "heartbeat", "logs/{site}", "offers")}

# What a task may do with what is its own job's, and a worker may do at all; with the code of the answer.
OF_A_TASK = {
    ("get", "/v1/jobs/{job}"): 200,
    ("get", "/v1/jobs/{job}/why"): 200,
    ("get", "/v1/jobs/{job}/tasks"): 200,
    ("get", "/v1/jobs/{job}/tasks/{index}/why"): 200,
    ("get", "/v1/blobs/{digest}"): 200,
    ("put", "/v1/blobs/{digest}"): 201,
    ("get", "/v1/datasets/{id}/files"): 200,
    ("get", "/v1/datasets/{id}/content/{path}"): 200,
}
OF_A_WORKER = {
    ("get", "/v1/status"): 200,
    ("get", "/v1/whoami"): 200,
    ("get", "/v1/openapi.json"): 200,
    ("get", "/v1/hubs"): 200,
    ("get", "/v1/sites"): 200,
    ("get", "/v1/workers"): 200,
    ("get", "/v1/worker-keys"): 200,
    ("get", "/v1/places"): 200,
    ("get", "/v1/blobs/{digest}"): 200,
    ("put", "/v1/blobs/{digest}"): 200,  # It is there.
    ("post", "/v1/jobs/{job}/replan"): 400,  # Without the words of another site.
    ("post", "/v1/workers"): 201,
    ("post", "/v1/workers/{worker}/poll"): 403,  # The worker is another principal's.
}
# A worker of another class than that of the site sees less of it, and fetches what its leases bring alone.
OF_A_RUNNER = {
    ("put", "/v1/blobs/{digest}"): 409,  # It has no lease to send for, and does not learn that it is there.
    ("post", "/v1/workers"): 201,
    ("post", "/v1/workers/{worker}/poll"): 403,
}


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def store(site, content):
    assert site.api("PUT", f"/v1/blobs/{digest_of(content)}", content).code in (200, 201)
    return digest_of(content)


def add_data(site, folder, name):
    folder.mkdir()
    (folder / "a").write_text(name)
    assert site.api("POST", "/v1/datasets", {"id": f"t:{name}", "paths": [str(folder)]}).code == 201
    eventually(lambda: site.api("GET", f"/v1/datasets/t%3A{name}").json["state"] == "available")


def run_with_token(site, name, content):
    """A job whose tasks may ask the site, at work; with its number and its token."""
    job = site.api("POST", "/v1/jobs", {
        "command": ["sh", "-c", PRINTS_TOKEN], "network": True, "api": True, "cache": "off", "data": [{"id": f"t:{name}", "name": "d"}],
        "files": [{"name": "x", "blob": store(site, content)}]}).json["id"]
    token = eventually(lambda: site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body.decode().strip())
    assert token.startswith("lode_task_")
    return job, token


class Thief:
    """Makes every call, about one job's things or another's."""

    def __init__(self, site, ask):
        self.site = site
        self.ask = ask  # Site.api with what was stolen.

    def try_all(self, things, content, may):
        """Asserts that exactly the calls of `may` are answered as there, public ones as for everybody, and all others refused."""
        wrong = []
        for method, path in CALLS:
            url = path
            for name, value in {**things, "digest": digest_of(content)}.items():
                url = url.replace("{%s}" % name, str(value))
            url += f"?digest={digest_of(content)}" if path.endswith("/data/{name}/{path}") else ""
            bodies = {"/v1/blobs/{digest}": content, "/v1/workers": HELLO,
                      "/v1/workers/{worker}/sources": {"job": things["job"], "digest": digest_of(content)}}
            body = None if method in ("get", "delete") else bodies.get(path, {})
            public = self.site.api(method.upper(), url, body, token=False).code
            code = self.ask(method.upper(), url, body).code
            expected = may.get((method, path), 403) if public == 401 else public
            if code != expected and not ((method, path) in OF_SITES and code in (400, 401, 403, 404, 409)):
                wrong.append((method, url, code, expected))
        assert not wrong


def things_of(job, dataset):
    return {"job": job, "id": f"t%3A{dataset}", "index": 0, "path": "a", "worker": 1, "token": 1, "group": "g", "member": "m",
            "site": "sha256:" + "0" * 64, "transfer": 1, "name": "d"}


def test_a_stolen_task_token_is_good_for_its_jobs_inputs_while_the_task_runs(make_site, tmp_path):
    site = make_site()
    add_data(site, tmp_path / "own", "own")
    add_data(site, tmp_path / "foreign", "foreign")
    foreign, _ = run_with_token(site, "foreign", FOREIGN)
    job, token = run_with_token(site, "own", OWN)
    thief = Thief(site, lambda *call: site.api(*call, token=token))
    thief.try_all(things_of(job, "own"), OWN, OF_A_TASK)
    thief.try_all(things_of(foreign, "foreign"), FOREIGN, {("put", "/v1/blobs/{digest}"): 201})
    assert "spec" not in thief.ask("GET", f"/v1/jobs/{job}").json
    for forged in (token[:-1] + ("0" if token[-1] != "0" else "1"), token.replace(f".{job}.", f".{foreign}."), "lode_task_1.1.0.1." + "0" * 64):
        assert site.api("GET", f"/v1/jobs/{job}", token=forged).code == 401

    site.api("POST", f"/v1/jobs/{job}/cancel")
    eventually(lambda: thief.ask("GET", f"/v1/jobs/{job}").code == 401)
    for method, path in CALLS:
        url = path
        for name, value in {**things_of(job, "own"), "digest": digest_of(OWN)}.items():
            url = url.replace("{%s}" % name, str(value))
        assert thief.ask(method.upper(), url, OWN if path.startswith("/v1/blobs") and method == "put" else None).code == 401, url
    assert token not in site.log


def test_a_task_uses_its_token_to_read_its_inputs(make_site, tmp_path):
    site = make_site()
    add_data(site, tmp_path / "own", "own")
    program = b"""
import os, ssl, urllib.request
def ask(path, body=None):
    request = urllib.request.Request(os.environ["LODE_SITE"] + path, data=body, method="PUT" if body else "GET",
                                     headers={"Authorization": "Bearer " + os.environ["LODE_TOKEN"]})
    return urllib.request.urlopen(request, context=ssl._create_unverified_context()).read().decode()
print(ask("/v1/datasets/t%3Aown/content/a"), os.environ["LODE_FINGERPRINT"])
"""
    job = site.api("POST", "/v1/jobs?wait=60", {
        "command": ["python3", "ask.py"], "network": True, "api": True, "count": 3, "data": [{"id": "t:own", "name": "d"}],
        "files": [{"name": "ask.py", "blob": store(site, program)}]}).json
    assert job["state"] == "succeeded", job
    fingerprint = site.api("GET", "/v1/site").json["fingerprint"]
    assert site.api("GET", f"/v1/jobs/{job['id']}/tasks/2/stdout").body.decode() == f"own {fingerprint}\n"
    plain = site.api("POST", "/v1/jobs?wait=60", {"command": ["sh", "-c", "echo [$LODE_TOKEN]"], "network": True}).json["id"]
    assert site.api("GET", f"/v1/jobs/{plain}/tasks/0/stdout").body == b"[]\n"


def test_what_a_task_sends_is_counted(make_site, tmp_path):
    site = make_site()
    job = site.api("POST", "/v1/jobs", {
        "command": ["sh", "-c", PRINTS_TOKEN], "network": True, "api": True, "disk_bytes": 3000}).json["id"]
    token = eventually(lambda: site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body.decode().strip())
    small, large = b"s" * 2000, b"l" * 1001
    assert site.api("PUT", f"/v1/blobs/{digest_of(small)}", small, token=token).code == 201
    refused = site.api("PUT", f"/v1/blobs/{digest_of(large)}", large, token=token)
    assert refused.code == 507 and "--disk" in refused.json["fix"]
    assert site.api("GET", f"/v1/blobs/{digest_of(large)}").code == 404


def test_a_job_whose_tasks_ask_needs_the_network_and_is_not_streamed(make_site):
    site = make_site(options=["--workers", "0"])
    without = site.api("POST", "/v1/jobs", {"command": ["true"], "api": True})
    assert without.code == 400 and '"network": true' in without.json["fix"]
    streamed = site.api("POST", "/v1/jobs", {"command": ["cat"], "mode": "stream", "network": True, "api": True})
    assert streamed.code == 400 and "streamed" in streamed.json["detail"]


def test_a_stolen_worker_token_is_good_for_tasks_and_their_files_alone(make_site, tmp_path):
    site = make_site()
    add_data(site, tmp_path / "own", "own")
    job, _ = run_with_token(site, "own", OWN)
    made = site.api("POST", "/v1/tokens", {"principal": "rack", "role": "worker", "label": "l"}).json
    thief = Thief(site, lambda *call: site.api(*call, token=made["token"]))
    thief.try_all(things_of(job, "own"), OWN, OF_A_WORKER)
    assert site.api("DELETE", f"/v1/tokens/{made['token_id']}").code == 204
    assert thief.ask("GET", "/v1/whoami", None).code == 401


def test_a_stolen_worker_key_is_good_for_tasks_and_their_files_alone(make_site, tmp_path):
    site = make_site()
    add_data(site, tmp_path / "own", "own")
    job, _ = run_with_token(site, "own", OWN)
    shutil.copytree(site.directory, tmp_path / "key", ignore=lambda _, names: [name for name in names if not name.endswith(".pem")])
    thief = Thief(site, lambda *call: site.api(*call, as_site=tmp_path / "key"))
    assert thief.ask("POST", "/v1/workers", HELLO).json["type"] == "urn:lode:problem:worker_pending"
    assert site.api("POST", f"/v1/worker-keys/{HELLO['name']}/state", {"state": "accepted"}).code == 200
    # Only who has a token brings jobs to other sites.
    thief.try_all(things_of(job, "own"), OWN, {**OF_A_WORKER, ("post", "/v1/jobs/{job}/replan"): 403})
    assert site.api("POST", f"/v1/worker-keys/{HELLO['name']}/state", {"state": "refused"}).code == 200
    assert [thief.ask("GET", path).code for path in ("/v1/whoami", f"/v1/blobs/{digest_of(OWN)}", "/v1/workers")] == [403, 403, 403]


def try_as_runner(site, thief, job, dataset, content):
    """All calls, beside a worker of somebody else that has come just now."""
    worker = site.api("POST", "/v1/workers", {**HELLO, "name": "theirs"}).json["worker"]
    thief.try_all({**things_of(job, dataset), "worker": worker}, content, OF_A_RUNNER)


@pytest.mark.parametrize("kind", ["group", "user", "session", "job", "job-token", "spare"])
def test_a_stolen_runners_token_is_good_for_what_its_class_may_have(make_site, tmp_path, kind):
    site = make_site(options=["--workers", "0"])
    add_data(site, tmp_path / "own", "own")
    add_data(site, tmp_path / "foreign", "foreign")
    eve = site.api("POST", "/v1/tokens", {"principal": "eve", "role": "user"}).json["token"]

    def submit(dataset, content, token=True, **said):
        data = {} if kind == "spare" and dataset == "own" else {"data": [{"id": f"t:{dataset}", "name": "d"}]}
        files = {"files": [{"name": "x", "blob": store(site, content)}]}
        return site.api("POST", "/v1/jobs", {"command": ["true"], "cache": "off", **data, **files, **said}, token=token).json["id"]

    foreign = submit("foreign", FOREIGN, eve)
    said = {"spare": {"spare": True}, "group": {"group": "physics"}}.get(kind, {})
    assert site.api("POST", "/v1/groups", {"name": "physics"}).code == 201
    before = submit("own", OWN, **said)
    needs = {"group": {"groups": ["physics"]}, "job": {"job": before}, "job-token": {"job": before}}
    made = site.api("POST", "/v1/tokens", {"class": kind, **needs.get(kind, {})}).json
    job = submit("own", OWN, **said) if kind == "session" else before
    thief = Thief(site, lambda *call: site.api(*call, token=made["token"]))
    try_as_runner(site, thief, job, "own", OWN)
    try_as_runner(site, thief, foreign, "foreign", FOREIGN)

    # With a lease it has what that brings, and nothing of others.
    worker = thief.ask("POST", "/v1/workers", {**HELLO, "cpus": 8, "memory_bytes": 1 << 40, "disk_bytes": 1 << 40}).json["worker"]
    leases = thief.ask("POST", f"/v1/workers/{worker}/poll", {"leases": []}).json["leases"]
    assert job in [lease[1] for lease in leases] and foreign not in [lease[1] for lease in leases], leases
    assert thief.ask("GET", f"/v1/blobs/{digest_of(OWN)}").body == OWN
    refused = thief.ask("GET", f"/v1/blobs/{digest_of(FOREIGN)}")
    assert refused.code == 403 and "no input of a job that the runner has" in refused.json["detail"] and refused.json["fix"], refused
    data = f"/v1/workers/{worker}/jobs/%d/data/d/a?digest=%s"
    assert thief.ask("GET", data % (job, digest_of(b"own"))).code == (404 if kind == "spare" else 200)  # A spare job has none.
    assert thief.ask("GET", data % (foreign, digest_of(b"foreign"))).code == 403
    # What it sends is for that, and what is here already is not told.
    assert thief.ask("PUT", f"/v1/blobs/{digest_of(FOREIGN)}", FOREIGN).code == 201
    # It learns nothing of other workers.
    source = {"job": job, "digest": digest_of(b"own")}
    assert thief.ask("POST", f"/v1/workers/{worker}/sources", source).json == {"from": "site"}
    assert thief.ask("POST", f"/v1/workers/{worker}/sources", {**source, "has_it": True}).json == {"from": "site"}
    assert thief.ask("POST", f"/v1/workers/{worker}/sources", {**source, "job": foreign}).code == 403
    # Nor may it say anything of another job.
    lie = thief.ask("POST", f"/v1/workers/{worker}/poll", {"results": [{"lease": leases[0][0], "job": foreign, "tasks": [[0, 0, 0, 1, 1, 1, 1]]}]})
    assert lie.code == 403 and "may not speak of job" in lie.json["detail"] and lie.json["fix"], lie
    assert site.api("GET", f"/v1/jobs/{foreign}").json["state"] == "waiting"
    assert site.api("DELETE", f"/v1/tokens/{made['token_id']}").code == 204
    assert thief.ask("POST", f"/v1/workers/{worker}/poll", {}).code == 401


def test_a_key_of_a_class_is_good_for_no_more_than_a_token_of_it(make_site, tmp_path):
    site = make_site(options=["--workers", "0"])
    job = site.api("POST", "/v1/jobs", {"command": ["true"], "files": [{"name": "x", "blob": store(site, OWN)}]}).json["id"]
    shutil.copytree(site.directory, tmp_path / "key", ignore=lambda _, names: [name for name in names if not name.endswith(".pem")])
    thief = Thief(site, lambda *call: site.api(*call, as_site=tmp_path / "key"))
    assert thief.ask("POST", "/v1/workers", HELLO).code == 403
    for said in ({"class": "spare"}, {"class": "user", "user": "eve"}):
        assert site.api("POST", f"/v1/worker-keys/{HELLO['name']}/state", {"state": "accepted", **said}).code == 200
        try_as_runner(site, thief, job, "own", OWN)
