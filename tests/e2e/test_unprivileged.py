"""A site that an ordinary user runs: nothing in it needs root, and what the user cannot read cannot be registered."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from conftest import PROGRAMS, Lode, Site, eventually, kill_all

USER = 12345  # No account has this number: no home, no name, no groups.


@pytest.fixture
def ordinary():
    """A site of an ordinary user, in a folder of that user's own; the programs are copied to where it can reach them."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; the other tests run as an ordinary user already")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-ordinary-"))
    programs = folder / "programs"
    (programs / "runner").mkdir(parents=True)
    shutil.copy(PROGRAMS / "lode", programs)
    shutil.copy(PROGRAMS / "runner" / "lode-runner", programs / "runner")
    user = Lode(folder, folder / "home")
    subprocess.run(["chown", "-R", f"{USER}:{USER}", folder], check=True)
    site = Site(user, user.data)
    with open(folder / "log", "wb") as log:
        become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
        site.process = subprocess.Popen(
            [*become, programs / "lode", "site", "--address", "127.0.0.1:0", "--directory", site.directory],
            env=user.environment, stdout=log, stderr=log)
    try:
        eventually((site.directory / "site.json").exists, 20, "the start of the site")
        site.url = eventually(site._said)["url"]
        yield site
    finally:
        site.process.terminate()
        site.process.wait(60)
        kill_all(folder)
        shutil.rmtree(folder)


def finished(site, **document):
    job = site.api("POST", "/v1/jobs?wait=60", {"cache": "off", **document})
    assert job.code == 201, job
    return job.json


def test_an_ordinary_user_runs_a_site_with_sandboxed_tasks(ordinary):
    job = finished(ordinary, command=["sh", "-c", "id -u; touch here; ls"])
    assert job["state"] == "succeeded", job
    out = ordinary.api("GET", f"/v1/jobs/{job['id']}/tasks/0/stdout").body.decode().split()
    assert out == ["1000", "here"]
    sandbox = ordinary.api("GET", "/v1/status").json["sandbox"]
    assert sandbox["kind"] == "bubblewrap"
    assert "walltime" in sandbox["enforced"], sandbox


def test_a_file_that_the_site_cannot_read_is_named(ordinary):
    folder = ordinary.user.folder / "data"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "open").write_text("open")
    (folder / "closed").write_text("closed")
    (folder / "closed").chmod(0o600)
    answer = ordinary.api("POST", "/v1/datasets", {"id": "t:closed", "paths": [str(folder)]})
    assert answer.code == 201, answer

    def settled():
        dataset = ordinary.api("GET", "/v1/datasets/t%3Aclosed").json
        return dataset if dataset["state"] != "registering" else None

    dataset = eventually(settled)
    assert dataset["state"] == "failed" and "closed" in dataset["problem"], dataset
    (folder / "closed").chmod(0o644)
    assert ordinary.api("POST", "/v1/datasets", {"id": "t:closed", "paths": [str(folder)]}).code == 200
    assert eventually(settled)["state"] in ("available", "failed")
    eventually(lambda: settled() and settled()["state"] == "available")
