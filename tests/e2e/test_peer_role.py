"""What another site may do here: by its certificate, for its users, as a guest, and nothing else."""

import hashlib

import pytest


@pytest.fixture
def ocean(make_site, make_lode):
    """A stopped site: its key is all that is needed here."""
    site = make_site(user=make_lode("ocean"), options=("--workers", "0", "--name", "ocean"))
    site.stop()
    return site


@pytest.fixture
def host(make_site, ocean):
    """A site that takes jobs of `ocean`."""
    return make_site(options=("--sandbox", "none", "--peer", f"ocean={ocean.fingerprint}@{ocean.url}"))


def name_at(user, site):
    return f"{user}@{site.fingerprint.split(':')[1][:16]}"


def ask(host, ocean, method, path, body=None, user="alice", headers=None):
    user_field = {"Lode-User": user} if user is not None else {}
    return host.api(method, path, body, headers={**user_field, **(headers or {})}, as_site=ocean.directory)


def test_a_guest_runs_a_job_and_reads_what_it_wrote(host, ocean):
    answer = ask(host, ocean, "POST", "/v1/jobs?wait=60", {"command": ["echo", "hello"]}, headers={"Idempotency-Key": "k"})
    assert answer.code == 201, answer
    assert answer.json["owner"] == name_at("alice", ocean)
    assert answer.json["state"] == "succeeded"
    job = answer.json["id"]
    assert ask(host, ocean, "GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"hello\n"
    assert ask(host, ocean, "GET", f"/v1/jobs/{job}/tasks/0").json["owner"] == name_at("alice", ocean)
    assert ask(host, ocean, "POST", f"/v1/jobs/{job}/cancel").code in (200, 409)
    again = ask(host, ocean, "POST", "/v1/jobs", {"command": ["echo", "hello"]}, headers={"Idempotency-Key": "k"})
    assert again.json["id"] == job


def test_jobs_of_others_are_not_a_guests(host, ocean):
    own = host.api("POST", "/v1/jobs", {"command": ["true"]}).json["id"]
    carols = ask(host, ocean, "POST", "/v1/jobs", {"command": ["true"]}, user="carol").json["id"]
    alices = ask(host, ocean, "POST", "/v1/jobs", {"command": ["true"]}).json["id"]
    for job in (own, carols):
        for path in ("", "/events", "/outputs", "/why", "/tasks/0"):
            assert ask(host, ocean, "GET", f"/v1/jobs/{job}{path}").code == 403
        assert ask(host, ocean, "POST", f"/v1/jobs/{job}/cancel").code == 403
    assert [job["id"] for job in ask(host, ocean, "GET", "/v1/jobs").json["jobs"]] == [alices]
    assert ask(host, ocean, "GET", "/v1/jobs?owner=nobody").code == 403
    owners = {job["id"]: job["owner"] for job in host.api("GET", "/v1/jobs").json["jobs"]}
    assert owners == {own: host.api("GET", "/v1/whoami").json["principal"], carols: name_at("carol", ocean), alices: name_at("alice", ocean)}


def test_a_guest_moves_blobs(host, ocean):
    digest = "sha256:" + hashlib.sha256(b"bytes").hexdigest()
    # The first request of a site is answered before its standing is known: it asks again, as a client does for a 503.
    codes = [ask(host, ocean, "PUT", f"/v1/blobs/{digest}", b"bytes").code for _ in range(2)]
    assert codes[1] == 201 and codes[0] in (201, 503)
    assert ask(host, ocean, "GET", f"/v1/blobs/{digest}").body == b"bytes"


def test_everything_else_is_refused(host, ocean):
    for method, path, body in [
        ("GET", "/v1/status", None),
        ("GET", "/v1/whoami", None),
        ("GET", "/v1/workers", None),
        ("GET", "/v1/tokens", None),
        ("POST", "/v1/tokens", {"principal": "eve", "role": "admin"}),
        ("POST", "/v1/datasets", {"id": "s:x", "paths": ["/etc"]}),
        ("DELETE", "/v1/datasets/s:x", None),
        ("POST", "/v1/workers", {"name": "w", "cpus": 1, "memory_bytes": 1, "disk_bytes": 1, "version": "1"}),
    ]:
        for _ in range(2):
            answer = ask(host, ocean, method, path, body)
        assert answer.code == 403, (method, path, answer)


def test_a_site_that_is_no_guest_gets_nothing_and_the_reason(host, make_site, make_lode):
    stranger = make_site(user=make_lode("stranger"), options=("--workers", "0"))
    answer = ask(host, stranger, "POST", "/v1/jobs", {"command": ["true"]})
    assert answer.code == 403
    assert "takes no jobs" in answer.json["detail"] and answer.json["fix"]
    digest = "sha256:" + hashlib.sha256(b"").hexdigest()
    assert ask(host, stranger, "PUT", f"/v1/blobs/{digest}", b"").code == 403
    assert ask(host, stranger, "GET", "/v1/jobs").code == 403
    assert ask(host, stranger, "GET", "/v1/datasets").code == 403
    assert ask(host, stranger, "GET", "/v1/site").code == 200
    assert host.api("GET", "/v1/jobs").json["jobs"] == []


def test_the_name_of_the_user_is_checked(host, ocean):
    for user in ("a" * 41, "al ice", "alice@x", "../x", "Zo\u00eb"):
        answer = ask(host, ocean, "POST", "/v1/jobs", {"command": ["true"]}, user=user)
        assert answer.code == 400 and "Lode-User" in answer.json["detail"], (user, answer)
    answer = ask(host, ocean, "POST", "/v1/jobs", {"command": ["true"]}, user=None)
    assert answer.json["owner"] == name_at("site", ocean)
    assert ask(host, ocean, "POST", "/v1/jobs", {"command": ["true"]}, user="a" * 40).code == 201


def test_a_guest_sees_no_path_of_the_machine(host, ocean, coads, lode):
    lode("data", "add", "s:coads", coads)
    shown = ask(host, ocean, "GET", "/v1/datasets/s:coads")
    assert shown.code == 200 and shown.json["state"] == "available" and "roots" not in shown.json
    resolved = ask(host, ocean, "GET", "/v1/resolve/s:coads")
    spec = {"command": ["cat", "/etc/hostname"], "data": [{"id": "s:coads", "name": "coads"}]}
    job = ask(host, ocean, "POST", "/v1/jobs?wait=60", spec)
    record = ask(host, ocean, "GET", f"/v1/jobs/{job.json['id']}/tasks/0")
    files = ask(host, ocean, "GET", "/v1/datasets/s:coads/files")
    (coads / "coads_climatology.cdf").rename(coads / "gone")
    lode("data", "verify", "s:coads", status=None)
    changed = ask(host, ocean, "GET", "/v1/datasets/s:coads?wait=20")
    refused = ask(host, ocean, "POST", "/v1/jobs", spec)
    coads.rename(coads.parent / "moved")
    missing = ask(host, ocean, "POST", "/v1/jobs", {**spec, "cache": "off"})
    for answer in (shown, resolved, job, record, files, changed, refused, missing):
        assert str(coads.parent).encode() not in answer.body, answer
    assert refused.code == 409 and missing.code == 409
