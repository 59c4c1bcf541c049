"""Parts of index sets, and files in folders, with a real worker: what tasks see of them."""

import hashlib

import pytest
from test_faults import submit, wait_for


def keep(site, content):
    """A blob on the site; its name."""
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert site.api("PUT", f"/v1/blobs/{digest}", content).code in (200, 201)
    return digest


def stdout(site, job, index):
    return site.api("GET", f"/v1/jobs/{job}/tasks/{index}/stdout").body.decode()


def test_tasks_of_a_part_see_the_indices_of_the_whole(site):
    show = ["sh", "-c", 'echo "$LODE_INDEX $LODE_ITEM {index} {}"']
    counted = submit(site, command=show, count=2, first_index=40)
    items = keep(site, "".join(f"line-{i}\n" for i in range(20000)).encode())
    listed = submit(site, command=show, items=items, first_index=19990, count=3)
    assert wait_for(site, counted)["state"] == "succeeded"
    assert wait_for(site, listed)["state"] == "succeeded"
    assert [stdout(site, counted, i) for i in (0, 1)] == ["40 40 40 40\n", "41 41 41 41\n"]
    assert stdout(site, listed, 2) == "19992 line-19992 19992 line-19992\n"
    assert site.api("GET", f"/v1/jobs/{listed}/tasks/2").json["command"][2] == 'echo "$LODE_INDEX $LODE_ITEM 19992 line-19992"'


def test_files_of_a_part_are_those_of_the_dataset(site, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_text(name)
    assert site.api("POST", "/v1/datasets", {"id": "t:part", "paths": [str(folder)]}).code == 201
    assert site.api("GET", "/v1/datasets/t%3Apart?wait=30").json["state"] == "available"
    job = submit(site, command=["cat", "{file}"], over="t:part", first_index=2)
    done = wait_for(site, job)
    assert done["state"] == "succeeded" and done["tasks"]["total"] == 2
    assert [stdout(site, job, i) for i in (0, 1)] == ["c", "d"]


@pytest.mark.parametrize("has_items", [False, True])
def test_a_streamed_part_is_fed_its_own_items(site, has_items):
    document = {"command": ["sed", "-u", "s/^/got /"], "mode": "stream", "first_index": 5, "count": 3}
    if has_items:
        document["items"] = keep(site, b"".join(b"i%d\n" % i for i in range(9)))
    job = submit(site, **document)
    assert wait_for(site, job)["state"] == "succeeded"
    letter = "i" if has_items else ""
    expected = "".join(f"got {letter}{i}\n" for i in (5, 6, 7))
    assert site.api("GET", f"/v1/jobs/{job}/answers").body.decode() == expected


@pytest.mark.parametrize("options", [(), ("--sandbox", "none")], ids=["sandbox", "no sandbox"])
def test_files_may_lie_in_folders(make_site, options):
    site = make_site(options=options)
    files = [
        {"name": "in/0/a", "blob": keep(site, b"first\n")},
        {"name": "in/1/deep/b", "blob": keep(site, b"#!/bin/sh\necho ran\n"), "executable": True},
        {"name": "top", "blob": keep(site, b"top\n")},
    ]
    script = "cat in/0/a top; in/1/deep/b; echo own > out; find . -type f -o -type l | sort | tail -n 1 > /dev/null"
    job = submit(site, command=["sh", "-ec", script], files=files, outputs=["**"], count=2)
    done = wait_for(site, job)
    assert done["state"] == "succeeded", done
    assert stdout(site, job, 1) == "first\ntop\nran\n"
    outputs = site.api("GET", f"/v1/jobs/{job}/outputs").json["outputs"]
    assert sorted((each["index"], each["path"]) for each in outputs) == [(0, "out"), (1, "out")]


def test_a_task_cannot_write_to_the_folders_of_files(site):
    files = [{"name": "in/a", "blob": keep(site, b"first")}]
    job = submit(site, command=["sh", "-c", "echo x > in/b || echo x > in/a"], files=files)
    assert wait_for(site, job)["state"] == "failed"


def test_a_job_gets_what_others_have_left(site, lode):
    first = lode("submit", "--count", "2", "--output", "out", "--", "sh", "-c", "echo $LODE_INDEX > out").stdout.strip()
    second = lode("submit", "--output", "bin/*", "--", "sh", "-c", "mkdir bin; echo 'echo ran' > bin/go; chmod +x bin/go").stdout.strip()
    script = "cat inputs/0/0/out inputs/0/1/out; inputs/1/bin/go"
    command = ["run", "--input-from", first, "--input-from", second, "--", "sh", "-ec", script]
    assert lode(*command).stdout == "0\n1\nran\n"
    # What came in counts, not the job that it came from.
    again = lode.json("submit", "--input-from", first, "--input-from", second, "--", "sh", "-ec", script)["id"]
    assert wait_for(site, again)["tasks"]["cached"] == 1
    record = site.api("GET", f"/v1/jobs/{again}/tasks/0").json
    assert [each["name"] for each in record["inputs"]] == ["inputs/0/0/out", "inputs/0/1/out", "inputs/1/bin/go"]


def test_a_job_whose_input_is_nothing_says_so(site, lode):
    first = lode("submit", "--", "true").stdout.strip()
    done = lode("run", "--input-from", first, "--", "ls", "inputs", status=None)
    assert done.returncode != 0 and "has left no output files" in done.stderr
