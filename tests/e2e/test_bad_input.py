"""What is refused, and how: every refusal is a problem document that says what was wrong and what to do, and changes nothing."""

import contextlib
import hashlib
import http.client
import json
import ssl

import pytest
from conftest import ROOT, eventually
from scripted_site import ScriptedSite


@pytest.fixture
def quiet(make_site):
    """A site without workers: what is submitted stays where it is."""
    return make_site(options=["--workers", "0"])


def assert_problem(answer, code, *words):
    """A problem document (RFC 9457) with that status, whose text has the words."""
    assert answer.code == code, answer
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.headers
    problem = answer.json
    assert problem["status"] == code and problem["title"] and problem["type"] and problem["detail"] and problem["fix"], problem
    for word in words:
        assert word in problem["detail"] + problem["fix"], problem


JOB_REFUSALS = {
    "nothing": (b"", []),
    "malformed": (b'{"command": ["true"', ["JSON"]),
    "not an object": (b'["true"]', ["object"]),
    "two values": (b'{"command": ["true"]} {}', ["JSON"]),
    "duplicate key": (b'{"command": ["true"], "command": ["false"]}', []),
    "wrong UTF-8": (b'{"command": ["\xff\xfe"]}', []),
    "a NUL": (b'{"command": ["a\\u0000b"]}', []),
    "too deep": (b'{"command": ' + b"[" * 5000 + b"]" * 5000 + b"}", ["deep"]),
    "unknown field": (b'{"command": ["true"], "cpu": 3}', ["cpu", "cpus"]),
    "no command": (b'{"name": "x"}', ["command"]),
    "empty command": (b'{"command": []}', ["command"]),
    "a command of numbers": (b'{"command": [1]}', ["command"]),
    "count of zero": (b'{"command": ["true"], "count": 0}', ["count"]),
    "a negative count": (b'{"command": ["true"], "count": -5}', ["count"]),
    "a fractional count": (b'{"command": ["true"], "count": 1.5}', ["count"]),
    "a count too large": (b'{"command": ["true"], "count": 99999999999999999999999}', []),
    "two index sets": (b'{"command": ["true"], "count": 2, "over": "a:b"}', ["count", "over"]),
    "an output above": (b'{"command": ["true"], "outputs": ["../*"]}', ["output"]),
    "an absolute output": (b'{"command": ["true"], "outputs": ["/etc/passwd"]}', ["output"]),
    "a file with a path": (b'{"command": ["true"], "files": [{"name": "../x", "blob": "sha256:%s"}]}' % (b"0" * 64), ["name"]),
    "a blob's name that is none": (b'{"command": ["true"], "files": [{"name": "x", "blob": "md5:1"}]}', []),
    "a file with a path out": (b'{"command": ["true"], "files": [{"name": "a/../../x", "blob": "sha256:%s"}]}' % (b"0" * 64), ["name"]),
    "an index before the first": (b'{"command": ["true"], "first_index": -1}', ["first_index"]),
    "an input from itself": (b'{"command": ["true"], "input_from": [0]}', ["input_from"]),
    "an unknown stage": (b'{"command": ["true"], "stage": "later"}', ["stage", "auto"]),
    "an unknown mode": (b'{"command": ["true"], "mode": "batch"}', ["mode"]),
    "an unknown cache": (b'{"command": ["true"], "cache": "maybe"}', ["cache"]),
    "a variable with =": (b'{"command": ["true"], "environment": {"A=B": "c"}}', ["environment"]),
    "negative cpus": (b'{"command": ["true"], "cpus": -1}', ["cpus"]),
    "a walltime of nothing": (b'{"command": ["true"], "walltime_seconds": 0}', ["walltime"]),
    "a data name with a slash": (b'{"command": ["true"], "data": [{"id": "a:b", "name": "x/y"}]}', ["name"]),
}


@pytest.mark.parametrize("what", JOB_REFUSALS)
def test_a_job_that_makes_no_sense_is_refused(quiet, what):
    body, words = JOB_REFUSALS[what]
    answer = quiet.api("POST", "/v1/jobs", body, {"Content-Type": "application/json"})
    assert_problem(answer, 400, *words)
    assert quiet.api("GET", "/v1/jobs").json["jobs"] == []


def test_the_fields_of_a_job_are_named_to_the_last(quiet):
    fix = quiet.api("POST", "/v1/jobs", {"command": ["true"], "nonsense": 1}).json["fix"]
    assert fix.startswith("known fields: name, mode, ") and fix.endswith(", spare"), fix


def test_a_job_that_has_ended_cannot_be_cancelled(site):
    job = site.api("POST", "/v1/jobs?wait=30", {"command": ["true"], "cache": "off"}).json["id"]
    refused = site.api("POST", f"/v1/jobs/{job}/cancel")
    assert_problem(refused, 409, "it succeeded")
    assert f"lode job show {job}" in refused.json["fix"], refused


BODIES = {
    "nothing": b"",
    "malformed": b'{"id": ["a"',
    "a page of HTML": b"<!DOCTYPE html><title>Login</title>",
    "an array": b"[]",
    "null": b"null",
    "two values": b"{} {}",
    "a duplicate key": b'{"id": "t:a", "id": "t:b"}',
    "an unknown field": b'{"nonsense": 1}',
    "wrong UTF-8": b'{"id": "\xc3\x28"}',
    "a NUL": b'{"id": "a\\u0000b"}',
    "too deep": b"[" * 5000 + b"]" * 5000,
    "ten megabytes of one text": b'{"id": "' + b"a" * (10 << 20) + b'"}',
}
PLACES = {"id": "t%3Anone", "job": "1", "index": "0", "worker": "1", "site": "sha256:" + "5" * 64}


def test_every_call_refuses_bodies_that_make_no_sense(make_site, tmp_path):
    site = make_site(options=["--workers", "0", "--mirror", "--join", "open"])
    other = ScriptedSite(tmp_path / "other")  # For its key: calls between sites need one.
    described = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    asked = 0
    for path, operations in described.items():
        takes_json = "application/json" in operations.get("post", {}).get("requestBody", {}).get("content", {})
        for what, body in BODIES.items() if takes_json else ():
            by = other.folder if path.startswith("/v1/federation/") else None
            answer = site.api("POST", path.format(**PLACES), body, {"Content-Type": "application/json"}, as_site=by)
            assert 400 <= answer.code < 500, (path, what, answer)
            assert_problem(answer, answer.code)
            asked += 1
    assert asked >= 12 * len(BODIES)
    for path, name in (("/v1/jobs", "jobs"), ("/v1/datasets", "datasets"), ("/v1/transfers", "transfers"), ("/v1/hubs", "hubs"), ("/v1/sites", "sites")):
        assert site.api("GET", path).json[name] == [], path


def test_a_site_alone_runs_nothing_elsewhere(quiet):
    assert_problem(quiet.api("POST", "/v1/jobs", {"command": ["true"], "at": "ocean"}), 404, "ocean")
    assert_problem(quiet.api("POST", "/v1/jobs", {"command": ["true"], "merge": ["cat"]}), 409, "no workers")
    assert quiet.api("GET", "/v1/jobs").json["jobs"] == []
    assert quiet.api("POST", "/v1/jobs", {"command": ["true"], "stage": "never"}).code == 201


def test_things_that_are_not_there_are_said_by_name(quiet):
    assert_problem(quiet.api("GET", "/v1/jobs/99"), 404, "99")
    assert_problem(quiet.api("GET", "/v1/jobs/99/tasks/0"), 404)
    assert_problem(quiet.api("GET", "/v1/datasets/a%3Anone"), 404, "a:none")
    assert_problem(quiet.api("GET", "/v1/resolve/doi%3A10.1%2Fnone"), 404, "doi:10.1/none")
    assert_problem(quiet.api("GET", "/v1/blobs/sha256:" + "0" * 64), 404, "0" * 64)
    assert_problem(quiet.api("GET", "/v1/nowhere"), 404, "/v1/nowhere")
    assert_problem(quiet.api("DELETE", "/v1/status"), 405)
    assert_problem(quiet.api("POST", "/v1/jobs", {"command": ["true"], "data": [{"id": "a:none"}]}), 404, "a:none")
    assert_problem(
        quiet.api("POST", "/v1/jobs", {"command": ["true"], "files": [{"name": "x", "blob": "sha256:" + "1" * 64}]}), 404
    )
    assert_problem(quiet.api("POST", "/v1/jobs", {"command": ["true"], "after": [99]}), 400, "99")


def test_a_blob_that_is_announced_with_more_than_the_maximum_is_refused_at_once(quiet):
    path = "/v1/blobs/sha256:" + "a" * 64
    assert_problem(quiet.api("PUT", path, b"", {"Content-Length": str((1 << 40) + 1)}), 413, "1 TiB")


def test_oversized_bodies_are_refused_without_reading_them(quiet):
    assert_problem(quiet.api("POST", "/v1/jobs", b" " * (40 << 20)), 413)


IDENTIFIERS = {
    "empty": "",
    "dots": "a%3A..%2F..%2Fetc%2Fpasswd",
    "NUL": "a%3Ab%00c",
    "newline": "a%3Ab%0Ac",
    "wrong UTF-8": "a%3A%FF%FE",
    "a broken escape": "a%3A%zz",
    "no scheme at all": "nonsense",
}


@pytest.mark.parametrize("what", IDENTIFIERS)
def test_identifiers_that_are_none_are_refused(quiet, what):
    answer = quiet.api("GET", "/v1/resolve/" + IDENTIFIERS[what])
    assert answer.code in (400, 404), answer
    assert_problem(answer, answer.code)


def test_an_identifier_of_ten_megabytes_is_refused(quiet):
    answer = quiet.api("POST", "/v1/datasets", {"id": "a:" + "b" * (10 << 20), "paths": ["/tmp"]})
    assert answer.code in (400, 413), answer
    assert_problem(answer, answer.code)


@pytest.mark.parametrize("identifier", ["a:b\0c", "a:b\nc", "a:../../etc", "", "x" * 5000 + ":y"])
def test_a_dataset_with_a_bad_identifier_is_refused(quiet, tmp_path, identifier):
    answer = quiet.api("POST", "/v1/datasets", {"id": identifier, "paths": [str(tmp_path)]})
    assert_problem(answer, 400)
    assert quiet.api("GET", "/v1/datasets").json["datasets"] == []


def test_paths_that_cannot_be_registered_are_refused(quiet, tmp_path):
    for path in ["relative/path", str(tmp_path / "missing"), "/etc/../etc/passwd\n"]:
        answer = quiet.api("POST", "/v1/datasets", {"id": "a:b", "paths": [path]})
        assert answer.code in (400, 404), answer
        assert_problem(answer, answer.code)


def register(site, identifier, path):
    """Posts a dataset and awaits its final state."""
    answer = site.api("POST", "/v1/datasets", {"id": identifier, "paths": [str(path)]})
    assert answer.code == 201, answer
    quoted = identifier.replace(":", "%3A")

    def settled():
        dataset = site.api("GET", f"/v1/datasets/{quoted}").json
        return dataset if dataset["state"] not in ("registering", "verifying") else None

    return eventually(settled)


def test_a_link_that_leaves_the_registered_folder_is_named(quiet, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "good").write_text("good")
    (folder / "escape").symlink_to("/etc/passwd")
    dataset = register(quiet, "a:links", folder)
    assert dataset["state"] == "failed"
    assert "escape" in dataset["problem"]["detail"] if isinstance(dataset["problem"], dict) else "escape" in dataset["problem"]


def test_content_of_a_dataset_cannot_be_left(quiet, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "good").write_text("good")
    (tmp_path / "secret").write_text("secret")
    register(quiet, "a:content", folder)
    assert quiet.api("GET", "/v1/datasets/a%3Acontent/content/good").body == b"good"
    for path in ["../secret", "%2E%2E/secret", "..%2Fsecret", "good/../../secret", "%2Fetc%2Fpasswd", "good%00", ""]:
        answer = quiet.api("GET", "/v1/datasets/a%3Acontent/content/" + path)
        assert answer.code in (400, 403, 404), (path, answer)
        assert b"secret" not in answer.body or answer.code >= 400


def test_a_changed_file_is_found_before_a_job_uses_it(quiet, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("first")
    register(quiet, "a:changing", folder)
    (folder / "a").write_text("second")
    answer = quiet.api("POST", "/v1/jobs", {"command": ["cat", "/data/x/a"], "data": [{"id": "a:changing", "name": "x"}]})
    assert_problem(answer, 409, "a", "verify")
    (folder / "a").unlink()
    answer = quiet.api("POST", "/v1/jobs", {"command": ["cat", "/data/x/a"], "data": [{"id": "a:changing", "name": "x"}]})
    assert_problem(answer, 409, "a")


def test_a_blob_with_other_bytes_than_its_name_is_refused(quiet):
    digest = hashlib.sha256(b"right").hexdigest()
    assert_problem(quiet.api("PUT", f"/v1/blobs/sha256:{digest}", b"wrong"), 422)
    assert quiet.api("GET", f"/v1/blobs/sha256:{digest}").code == 404
    assert quiet.api("PUT", f"/v1/blobs/sha256:{digest}", b"right").code == 201
    assert quiet.api("PUT", f"/v1/blobs/sha256:{digest}", b"right").code == 200
    assert quiet.api("GET", f"/v1/blobs/sha256:{digest}").body == b"right"


def test_without_a_token_nothing_is_done(quiet):
    for token in (False, "nonsense", "lode_" + "A" * 43):
        answer = quiet.api("GET", "/v1/jobs", token=token)
        assert_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert quiet.api("GET", "/v1/site", token=False).code == 200


def test_a_body_of_nobody_is_refused_before_it_is_sent(quiet):
    plain = http.client.HTTPSConnection(quiet.address, timeout=60, context=ssl._create_unverified_context())
    with contextlib.closing(plain) as connection:
        connection.putrequest("POST", "/v1/jobs")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        assert connection.getresponse().status == 401


def test_tokens_are_listed_whatever_was_revoked(quiet):
    ids = [quiet.api("POST", "/v1/tokens", {"principal": f"user-{i}"}).json["token_id"] for i in range(5)]
    for token in ids[:4]:
        assert quiet.api("DELETE", f"/v1/tokens/{token}").code == 204
    found, cursor = [], ""
    while cursor is not None:
        page = quiet.api("GET", f"/v1/tokens?limit=2{cursor}").json
        found += [each["token_id"] for each in page["tokens"]]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    assert ids[4] in found and not set(ids[:4]) & set(found), found


def test_a_worker_token_opens_only_the_workers_part(quiet):
    made = quiet.api("POST", "/v1/tokens", {"principal": "desk", "role": "worker"})
    assert made.code == 201, made
    token = made.json["token"]
    assert_problem(quiet.api("POST", "/v1/jobs", {"command": ["true"]}, token=token), 403)
    assert_problem(quiet.api("POST", "/v1/tokens", {"principal": "x", "role": "admin"}, token=token), 403)
    assert_problem(quiet.api("POST", "/v1/datasets", {"id": "a:b", "paths": ["/tmp"]}, token=token), 403)


def test_what_is_in_a_job_is_its_owners(quiet):
    token = quiet.api("POST", "/v1/tokens", {"principal": "eve", "role": "user"}).json["token"]
    secret = {"command": ["true"], "environment": {"PASSWORD": "xyzzy"}}
    job = quiet.api("POST", "/v1/jobs", secret).json["id"]
    assert quiet.api("GET", f"/v1/jobs/{job}").json["spec"]["environment"] == {"PASSWORD": "xyzzy"}
    # That there is a job, and how it does, everyone may know.
    seen = quiet.api("GET", f"/v1/jobs/{job}", token=token)
    assert seen.json["state"] == "waiting" and "spec" not in seen.json, seen
    assert quiet.api("GET", f"/v1/jobs/{job}/tasks", token=token).code == 200
    # Its record would name the environment, and its files and outputs by digests that anyone may read.
    for path in ("tasks/0", "tasks/0/stdout", "outputs", "events"):
        assert_problem(quiet.api("GET", f"/v1/jobs/{job}/{path}", token=token), 403)
    assert quiet.api("GET", f"/v1/jobs/{job}/tasks/0").code == 200


def test_an_unknown_query_parameter_is_refused(quiet):
    assert_problem(quiet.api("GET", "/v1/jobs?stat=done"), 400, "stat")
    assert_problem(quiet.api("GET", "/v1/jobs?limit=0"), 400, "limit")
    assert_problem(quiet.api("GET", "/v1/jobs?cursor=garbage"), 400, "cursor")


def test_the_same_idempotency_key_gives_the_same_job(quiet):
    key = {"Idempotency-Key": "abc"}
    first = quiet.api("POST", "/v1/jobs", {"command": ["true"]}, key).json["id"]
    # Laid out otherwise it is the same document.
    assert quiet.api("POST", "/v1/jobs", b'{ "command" : ["true"] }', key).json["id"] == first
    assert len(quiet.api("GET", "/v1/jobs").json["jobs"]) == 1
    quiet.kill()
    quiet.start()
    assert quiet.api("POST", "/v1/jobs", {"command": ["true"]}, key).json["id"] == first


def test_another_document_under_the_same_idempotency_key_is_refused(quiet):
    key = {"Idempotency-Key": "abc"}
    first = quiet.api("POST", "/v1/jobs", {"command": ["true"]}, key).json["id"]
    refused = quiet.api("POST", "/v1/jobs", {"command": ["false"]}, key)
    assert_problem(refused, 422, f"it made job {first}")
    assert "under a new key" in refused.json["fix"]
    assert len(quiet.api("GET", "/v1/jobs").json["jobs"]) == 1
