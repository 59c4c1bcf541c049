"""Datasets over HTTP: registered where they lie, described, verified, read by range, resolved by any alias, forgotten."""

import hashlib
import os
import time
import urllib.parse

import pytest
from conftest import eventually


@pytest.fixture
def quiet(make_site):
    """A site without workers: data is all that these tests are about."""
    return make_site(options=["--workers", "0"])


@pytest.fixture
def data(tmp_path):
    """A folder with a few files."""
    folder = tmp_path / "data"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a b.nc").write_text("first")
    (folder / "deep" / "er" / "ü.nc").write_text("second")
    (folder / ".hidden").write_text("")
    return folder


def path_of(identifier, rest=""):
    return "/v1/datasets/" + urllib.parse.quote(identifier, safe="") + rest


def settle(site, identifier):
    """Waits, as a client does, until no survey is under way."""

    def look():
        dataset = site.api("GET", path_of(identifier, "?wait=5")).json
        return dataset if dataset["state"] not in ("registering", "verifying") else None

    return eventually(look)


def register(site, identifier, *paths, **fields):
    answer = site.api("POST", "/v1/datasets", {"id": identifier, "paths": [str(path) for path in paths], **fields})
    assert answer.code == 201, answer
    return settle(site, identifier)


def test_a_folder_is_described_file_by_file(quiet, data):
    dataset = register(quiet, "doi:10.1234/ABC", data, title="Some data", aliases=["ark:/12345/x-1"])
    assert dataset["id"] == "doi:10.1234/abc" and dataset["aliases"] == ["ark:12345/x1"]
    assert (dataset["state"], dataset["file_count"], dataset["size_bytes"]) == ("available", 3, 11)
    assert dataset["problem"] is None and dataset["title"] == "Some data"
    assert dataset["roots"] == [{"path": str(data), "mount": "", "kind": "folder"}]
    files = quiet.api("GET", path_of("https://doi.org/10.1234/abc", "/files")).json
    assert [file["path"] for file in files["files"]] == [".hidden", "a b.nc", "deep/er/ü.nc"]
    assert files["next"] is None
    second = files["files"][2]
    assert second["digest"] == "sha256:" + hashlib.sha256(b"second").hexdigest()
    assert (second["size_bytes"], second["state"]) == (6, "ok")


def test_lists_are_paged(quiet, data):
    for name in "cab":
        register(quiet, f"t:{name}", data)
    register(quiet, "u:x", data)
    first = quiet.api("GET", "/v1/datasets?prefix=t%3A&limit=2").json
    assert [dataset["id"] for dataset in first["datasets"]] == ["t:a", "t:b"]
    rest = quiet.api("GET", "/v1/datasets?prefix=t%3A&limit=2&cursor=" + urllib.parse.quote(first["next"])).json
    assert [dataset["id"] for dataset in rest["datasets"]] == ["t:c"] and rest["next"] is None
    seen, cursor = [], ""
    while cursor is not None:
        page = quiet.api("GET", path_of("t:a", "/files?limit=1&cursor=" + urllib.parse.quote(cursor))).json
        seen += [file["path"] for file in page["files"]]
        cursor = page["next"]
    assert seen == [".hidden", "a b.nc", "deep/er/ü.nc"]


def test_the_bytes_of_a_file_are_read_by_range(quiet, data):
    register(quiet, "t:n", data)
    url = path_of("t:n", "/content/deep/er/%C3%BC.nc")
    whole = quiet.api("GET", url)
    assert (whole.code, whole.body) == (200, b"second")
    part = quiet.api("GET", url, headers={"Range": "bytes=1-3"})
    assert (part.code, part.body, part.headers["Content-Range"]) == (206, b"eco", "bytes 1-3/6")
    assert quiet.api("GET", url, headers={"Range": "bytes=6-"}).code == 416
    assert quiet.api("GET", url, headers={"If-None-Match": whole.headers["ETag"]}).code == 304
    head = quiet.api("HEAD", url)
    assert (head.code, head.body, head.headers["Content-Length"]) == (200, b"", "6")
    assert quiet.api("GET", path_of("t:n", "/content/.hidden")).body == b""
    assert quiet.api("GET", path_of("t:n", "/content/a%20b.nc")).body == b"first"
    assert quiet.api("GET", path_of("t:n", "/content/none")).code == 404


def test_a_changed_file_is_not_served_as_what_was_registered(quiet, data):
    register(quiet, "t:n", data)
    (data / "a b.nc").write_text("another")
    answer = quiet.api("GET", path_of("t:n", "/content/a%20b.nc"))
    assert answer.code == 409 and "verify" in answer.json["fix"]
    (data / "a b.nc").unlink()
    (data / "a b.nc").symlink_to("/etc/passwd")
    assert quiet.api("GET", path_of("t:n", "/content/a%20b.nc")).code == 403


def test_verifying_finds_changes_and_accepting_registers_them(quiet, data):
    before = register(quiet, "t:n", data)
    (data / "a b.nc").write_text("FIRST")
    os.utime(data / "a b.nc", (1, 1))
    (data / ".hidden").unlink()
    (data / "new").write_text("third")
    answer = quiet.api("POST", path_of("t:n", "/verify"), {})
    assert (answer.code, answer.json["state"]) == (202, "verifying")
    changed = settle(quiet, "t:n")
    assert changed["state"] == "changed" and ".hidden is missing; and 2 more" in changed["problem"]
    assert changed["digest"] == before["digest"]
    states = {file["path"]: file["state"] for file in quiet.api("GET", path_of("t:n", "/files")).json["files"]}
    assert states == {".hidden": "missing", "a b.nc": "changed", "deep/er/ü.nc": "ok", "new": "new"}
    assert quiet.api("POST", path_of("t:n", "/verify"), {"mode": "full", "accept_changes": True}).code == 202
    accepted = settle(quiet, "t:n")
    assert (accepted["state"], accepted["file_count"], accepted["problem"]) == ("available", 3, None)
    assert accepted["digest"] != before["digest"]
    assert quiet.api("POST", path_of("t:n", "/verify"), {"mode": "slow"}).code == 400
    assert quiet.api("POST", path_of("t:n", "/verify"), {"accept": True}).code == 400


def test_the_same_again_is_no_conflict_and_other_paths_are(quiet, data):
    register(quiet, "t:n", data)
    again = quiet.api("POST", "/v1/datasets", {"id": "t:n", "paths": [str(data)], "aliases": ["t:alias"]})
    assert (again.code, again.json["aliases"]) == (200, ["t:alias"])
    other = quiet.api("POST", "/v1/datasets", {"id": "t:n", "paths": [str(data / "deep")]})
    assert other.code == 409 and "t:n" in other.json["detail"] and "remove" in other.json["fix"]
    alias = quiet.api("POST", "/v1/datasets", {"id": "t:o", "paths": [str(data)], "aliases": ["t:alias"]})
    assert alias.code == 409 and "t:n" in alias.json["detail"]
    assert quiet.api("POST", "/v1/datasets", {"id": "t:p", "paths": [str(data)], "path": 1}).code == 400
    assert quiet.api("POST", "/v1/datasets", {"id": "t:p", "paths": [1]}).code == 400
    assert quiet.api("POST", "/v1/datasets", {"id": "t:p", "paths": []}).code == 400


def test_an_identifier_resolves_to_the_place_of_its_data(quiet, data):
    register(quiet, "t:n", data / "deep", data / "a b.nc", aliases=["URN:NBN:de:x-1"])
    answer = quiet.api("GET", "/v1/resolve/urn%3Anbn%3Ade%3Ax-1").json
    assert answer["id"] == "t:n" and answer["ttl_seconds"] > 0
    (location,) = answer["locations"]
    entry = location["entry"]
    assert (entry["tier"], entry["state"], entry["file_count"]) == ("online", "available", 2)
    assert entry["site"] == quiet.fingerprint and location["rank"] == 1
    assert location["roots"] == [
        {"path": str(data / "a b.nc"), "mount": "a b.nc", "kind": "file"},
        {"path": str(data / "deep"), "mount": "deep", "kind": "folder"},
    ]


def test_a_removed_dataset_is_forgotten_and_its_files_stay(quiet, data):
    register(quiet, "t:n", data)
    assert quiet.api("DELETE", path_of("t:n")).code == 204
    for method, path in [("GET", path_of("t:n")), ("DELETE", path_of("t:n")), ("GET", "/v1/resolve/t%3An")]:
        assert quiet.api(method, path).code == 404
    assert (data / "a b.nc").read_text() == "first"


def test_a_registration_goes_on_after_the_site_was_killed(quiet, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for i in range(5000):
        (many / f"{i:04}").write_text(str(i))
    assert quiet.api("POST", "/v1/datasets", {"id": "t:many", "paths": [str(many)]}).code == 201
    for _ in range(3):
        quiet.api("GET", path_of("t:many", "?wait=5"))
        quiet.kill()
        quiet.start()
    dataset = settle(quiet, "t:many")
    assert (dataset["state"], dataset["file_count"]) == ("available", 5000)


def test_data_of_many_files_that_is_touched_while_its_job_runs_never_hits(site, lode, tmp_path):
    """Workers look at the first 1,000 files only, so that this has to be seen of the others by looks at change times."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(1200):
        (folder / f"{i:04}").write_text("old")
    lode("data", "add", "t:many", folder)
    last = folder / "1199"
    times = last.stat()
    # The task waits until the file was touched in a later second than now, which it is for all runs but the first.
    wait = f"until [ $(stat -c %Z /data/many/1199) -gt {int(times.st_ctime)} ]; do sleep 0.05; done"
    command = ["--data", "t:many=many", "--", "sh", "-c", f"{wait}; cat /data/many/1199"]

    def cached():
        job = lode.json("jobs", "--limit", "1")["jobs"][0]["id"]
        return lode.json("job", "show", str(job))["tasks"]["cached"]

    def write(content):
        """In place, and without a moment at which there is nothing."""
        with open(last, "r+b", buffering=0) as out:
            out.write(content)

    # Other content while the job reads, then the old one again, with the old times: nothing of the registration shows it.
    first = lode.start("run", *command)
    eventually(lambda: lode.json("status")["tasks"]["running"] == 1 and time.time() > int(times.st_ctime) + 1.1)
    write(b"NEW")
    out, _ = first.communicate(timeout=60)
    write(b"old")
    os.utime(last, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert out == "NEW"
    assert lode("run", *command).stdout == "old" and cached() == 0
    # What ran on data at rest is found once the site has looked again, also when it is touched afterwards.
    eventually(lambda: lode("run", *command).stdout == "old" and cached() == 1)
    os.utime(last)
    assert lode("run", *command).stdout == "old" and cached() == 1


def test_content_that_changes_behind_its_times_is_seen(site, lode, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "a"
    path.write_text("old")
    lode("data", "add", "t:folder", folder)
    command = ["run", "--data", "t:folder=folder", "--", "cat", "/data/folder/a"]
    assert lode(*command).stdout == "old"
    times = path.stat()
    path.write_text("NEW")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    refused = lode(*command, status=None)
    assert refused.returncode != 0 and "another content" in refused.stderr
    path.write_text("old")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    lode("data", "verify", "t:folder")
    assert lode(*command).stdout == "old"


@pytest.mark.parametrize("options", [["--data", "t:folder=folder"], ["--over", "t:folder"]])
def test_a_task_whose_input_changes_while_it_runs_fails_and_names_it(site, lode, tmp_path, options):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "a"
    path.write_text("old")
    lode("data", "add", "t:folder", folder)
    place = "{file}" if "--over" in options else "/data/folder/a"
    script = 'echo begun; until grep -q new "$1"; do sleep 0.05; done'
    job = lode.json("submit", *options, "--cache", "off", "--", "sh", "-c", script, "sh", place)["id"]
    eventually(lambda: "begun" in lode("logs", f"{job}/0", status=None).stdout, 60)
    path.write_text("new content")
    ended = site.api("GET", f"/v1/jobs/{job}?wait=60").json
    assert ended["state"] == "failed", ended
    assert "input file" in ended["message"] and "was registered with 3" in ended["message"], ended


def test_registering_shows_a_bar_on_a_terminal(site, lode, tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(512 << 20)  # A hole: no disk is needed, but each byte is read and checksummed.
    said, status = lode.on_terminal("data", "add", "t:large", tmp_path / "large")
    assert status == 0 and "t:large: available, 1 file, 512.0 MiB" in said
    bars = [line for line in said.split("\r") if "%" in line]
    assert bars and any("/s" in line and "left" in line for line in bars), said
