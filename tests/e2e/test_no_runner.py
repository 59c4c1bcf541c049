"""An installation from which lode-runner is missing: who waits is told, and it mends itself once the program is there."""

import shutil

import conftest
from conftest import PROGRAMS, eventually


def test_run_and_why_say_that_lode_runner_is_missing(make_site, lode, tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy2(PROGRAMS / "lode", programs / "lode")
    monkeypatch.setattr(conftest, "PROGRAMS", programs)
    site = make_site(options=["--sandbox", "none"])
    said = tmp_path / "said"
    with open(said, "w") as errors:
        run = lode.start("run", "--", "echo", "done", stderr=errors)
    eventually(lambda: "lode-runner, which starts tasks, is not beside the program lode" in said.read_text(), 60, "the reason")
    assert "lode-runner" in lode("why", "1").stdout
    assert site.api("GET", "/v1/jobs/1/why").json["change"].endswith("within half a minute")
    (runner,) = [path for path in (PROGRAMS / "lode-runner", PROGRAMS / "runner" / "lode-runner") if path.exists()]
    shutil.copy2(runner, programs / "lode-runner")
    stdout, _ = run.communicate(timeout=90)
    assert (run.returncode, stdout) == (0, "done\n")
