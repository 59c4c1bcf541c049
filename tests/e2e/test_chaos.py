"""The short chaos run of `./dev check`, and that its parts can be trusted: the plan follows from the seed, and what is wrong is noticed."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "chaos"))

import plan  # noqa: E402
import verdict  # noqa: E402
import work  # noqa: E402

SEED = 9  # Whose short plan has every kind of fault.
SHORT = ("--seed", str(SEED), "--tasks", "600", "--seconds", "10", "--workers", "4")
SHORT_SECONDS_MAX = 240


def chaos(*options, **environment):
    return subprocess.run([ROOT / "scripts" / "chaos", *options], env={**os.environ, **environment}, capture_output=True, text=True, timeout=SHORT_SECONDS_MAX)


def test_the_same_seed_gives_the_same_plan_byte_for_byte():
    first = chaos("--plan", "--seed", "7", PYTHONHASHSEED="1")
    second = chaos("--plan", "--seed", "7", PYTHONHASHSEED="2")
    assert first.returncode == 0 and first.stdout == second.stdout
    assert first.stdout == "".join(f"{fault}\n" for fault in plan.make_plan(7, 180, 5))
    assert chaos("--plan", "--seed", "8").stdout != first.stdout


@pytest.mark.parametrize("option", ("--help", "-h", "--plan"))
def test_what_only_says_something_needs_no_build(tmp_path, option):
    """In a copy of the tool without sources: whatever is built there fails."""
    for name in ("dev", "scripts/chaos", "tests/chaos"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name == "dev":
            shutil.copy(ROOT / name, tmp_path / name)  # It works where it lies.
        else:
            (tmp_path / name).symlink_to(ROOT / name)
    said = subprocess.run([tmp_path / "dev", "chaos", "--seed", "7", option], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and said.stderr == "", said
    assert ("usage: ./dev chaos" in said.stdout) if option != "--plan" else said.stdout == chaos("--plan", "--seed", "7").stdout


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_has_every_kind_and_no_two_of_a_lane_at_once(seed):
    faults = plan.make_plan(seed, 180, 5)
    assert {fault.kind for fault in faults} == set(plan.KINDS)
    assert [fault.at_ms for fault in faults] == sorted(fault.at_ms for fault in faults)
    until = {}
    for fault in faults:
        kind = plan.KINDS[fault.kind]
        assert (fault.worker is None) == (kind.victim == "site")
        if kind.lane:
            assert until.get((fault.worker, kind.lane), 0) <= fault.at_ms, fault
            until[fault.worker, kind.lane] = fault.at_ms + fault.for_ms


def test_the_short_plan_has_every_kind():
    assert {fault.kind for fault in plan.make_plan(SEED, 10, 4)} == set(plan.KINDS)


def test_a_short_run_under_all_faults_loses_and_doubles_nothing(tmp_path):
    ended = chaos(*SHORT, "--folder", tmp_path / "chaos")
    print(ended.stdout)
    for line in ended.stdout.splitlines():
        if line.startswith("SKIPPED"):
            warnings.warn(line, stacklevel=1)  # Pytest says so at its end.
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr
    assert "all 600 tasks have exactly one result" in ended.stdout


# What is wrong is noticed.


TASKS = 60


@pytest.fixture
def database(tmp_path):
    """database(rows, attempts): a database with these rows; its path."""

    def make(rows, attempts=()):
        path = tmp_path / "lode.db"
        path.unlink(missing_ok=True)
        made = sqlite3.connect(path)
        made.execute("CREATE TABLE tasks (job, idx, seq, outcome, code, attempts, stdout, stdout_size, stdout_digest, outputs)")
        made.execute("CREATE TABLE attempts (job, idx, attempt, worker, outcome, code, message, ended_us)")
        made.execute("CREATE TABLE workers (id, name)")
        made.execute("INSERT INTO workers VALUES (1, 'worker-1')")
        made.executemany("INSERT INTO tasks VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", rows)
        made.executemany("INSERT INTO attempts VALUES (1, ?, ?, 1, ?, 0, ?, 0)", attempts)
        made.commit()
        made.close()
        return path

    return make


def row(index, **other):
    content = work.stdout_of(SEED, index)
    is_long = len(content) > 16384
    fields = {
        "index": index, "seq": index + 1, "outcome": 0, "code": 0, "attempts": 1, "stdout": None if is_long else content,
        "size": len(content), "digest": hashlib.sha256(content).digest() if is_long else None, **other}
    return tuple(fields.values())


def look(path, failures=None):
    return verdict.look_at_database(path, 1, SEED, TASKS, failures or {"lost": 0})[0]


def test_a_database_that_is_right_is_taken(database):
    assert look(database([row(index) for index in range(TASKS)])) == []


@pytest.mark.parametrize("spoil, said", (
    (lambda rows: rows.pop(5), "task 5 is 0 times"),
    (lambda rows: rows.append(row(5, seq=TASKS + 1)), "task 5 is 2 times"),
    (lambda rows: rows.append(row(TASKS)), f"there is a task {TASKS}"),
    (lambda rows: rows.__setitem__(5, row(5, stdout=b"x" * 65)), "row of task 5 is wrong"),
    (lambda rows: rows.__setitem__(7, row(7, digest=b"x" * 32)), "row of task 7 is wrong"),
    (lambda rows: rows.__setitem__(5, row(5, code=1)), "row of task 5 is wrong"),
    (lambda rows: rows.__setitem__(5, row(5, seq=500)), "not numbered"),
    (lambda rows: rows.__setitem__(5, row(5, attempts=4)), "task 5 is said to have had 4 attempts"),
))
def test_a_database_that_is_wrong_is_noticed(database, spoil, said):
    rows = [row(index) for index in range(TASKS)]
    spoil(rows)
    assert any(said in sentence for sentence in look(database(rows))), look(database(rows))


@pytest.mark.parametrize("spoil, said", ((lambda path: path.unlink(), "is not there"), (lambda path: path.write_bytes(b"x"), "has other bytes")))
def test_a_blob_that_is_missing_or_other_is_noticed(tmp_path, spoil, said):
    paths = []
    for content in (*work.outputs_of(SEED, TASKS).values(), *(work.stdout_of(SEED, index) for index in range(TASKS))):
        digest = hashlib.sha256(content).hexdigest()
        paths.append(tmp_path / digest[:2] / digest[2:])
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(content)
    assert verdict.look_at_blobs(tmp_path, SEED, TASKS) == []
    spoil(paths[0])
    (sentence,) = verdict.look_at_blobs(tmp_path, SEED, TASKS)
    assert said in sentence


def test_attempts_that_are_not_counted_are_noticed(database):
    path = database([row(index) for index in range(TASKS)], [(3, 1, 8, "worker 1 was lost while it ran this task")])
    assert any("but the job counts 0" in sentence for sentence in look(path))
    assert look(path, {"lost": 1}) == []


def test_an_attempt_that_no_fault_explains_is_noticed():
    kill = plan.Fault(1, 0, "kill-worker", 1, 100)
    lost = ("worker-1", 8, 'worker 1 "worker-1" was lost while it ran this task')
    assert verdict.explain([lost] * 4, [kill], 4) == []
    assert verdict.explain([lost] * 5, [kill], 4)
    assert verdict.explain([lost], [], 4)
    assert verdict.explain([("worker-2", *lost[1:])], [kill], 4)
    assert verdict.explain([("worker-1", 0, "exit status 1")], [kill], 4)
