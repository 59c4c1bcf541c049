"""The commands about other sites against a scripted one: plans, where a job runs and why it waits, datasets on their way."""

import json
import signal
import subprocess

import pytest

from conftest import PROGRAMS, eventually
from scripted_site import ScriptedSite, job, log, task

OCEAN = "sha256:" + "12ab" * 16
ENDED = job("succeeded", tasks={"succeeded": 1})


@pytest.fixture
def scripted(tmp_path, lode):
    """A scripted site that belongs to the user of `lode`: no login is needed."""
    site = ScriptedSite(tmp_path / "scripted").start()
    site.be_local(lode.data)
    yield site
    site.stop()


def until_gone(request):
    """Holds an answer until the client has left."""
    eventually(lambda: request.connection.recv(1) == b"", seconds=60, about="the end of the client")


# Plans.


def candidate(name, data=(), **fields):
    offer = {"start_seconds": 0.0, "run_seconds": 61.5, "stage_bytes": 0, "stage_seconds": 0.0, "price": {"core_hours": 0.25, "bytes": 0}}
    return {"site": OCEAN, "name": name, "is_home": False, "has_offer": True, **offer, "data": list(data), **fields}


def refused(name, refusal, **fields):
    return {"site": OCEAN, "name": name, "is_home": False, "has_offer": False, "refusal": refusal, "data": [], **fields}


PLAN = {
    "chosen": "split",
    "reason": "it is done 20 s earlier than moving t:b",
    "candidates": [
        candidate("desk", is_home=True, stage_bytes=3 << 20, stage_seconds=1.5),
        candidate("ocean", ["t:a"], expires_at="2026-11-21T10:05:00.25Z"),
        candidate("ice", ["t:b"], start_seconds=7300.0),
        refused("hill", "no worker has 64 GiB of memory"),
    ],
    "alternatives": [
        {
            "kind": "split",
            "site": "desk",
            "steps": [{"do": "run", "data": "t:a", "at": "ocean"}, {"do": "run", "data": "t:b", "at": "ice"}, {"do": "merge", "at": "desk"}],
            "bytes_moved": 2048,
            "seconds": 70.0,
            "core_hours": 0.5,
            "reason": "both parts run beside their data",
        },
        {
            "kind": "move",
            "site": "ocean",
            "steps": [{"do": "move", "data": "t:b", "from": "ice", "at": "ocean"}, {"do": "run", "at": "ocean"}],
            "bytes_moved": 3 << 30,
            "seconds": 90.0,
            "core_hours": 0.0004,
            "reason": "3.0 GiB at 100 MiB/s",
        },
    ],
}


def test_a_plan_shows_candidates_alternatives_and_the_choice(lode, scripted):
    posted = []
    scripted.on("POST", "/v1/plans", lambda request: (posted.append(json.loads(request.body)), (200, PLAN))[1])
    words = ["--data", "t:a", "--data", "t:b", "--output", "*.txt", "--merge", "sort -m 'a b' inputs/0/x inputs/1/x", "--stage", "never", "--at", "desk"]
    said = lode("plan", *words, "--", "sh", "-c", "wc /data/*/* > x").stdout
    sent = posted[0]["job"]
    assert list(posted[0]) == ["job"] and sent["data"] == [{"id": "t:a"}, {"id": "t:b"}]
    assert (sent["at"], sent["stage"], sent["merge"]) == ("desk", "never", ["sort", "-m", "a b", "inputs/0/x", "inputs/1/x"])
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == "SITE OFFER START RUN STAGING CORE-HOURS UNTIL HAS"
    assert lines[1:5] == [
        "desk (here) yes 0 s 1 min 1 s 3.0 MiB in 1.5 s 0.25 - -",
        "ocean yes 0 s 1 min 1 s 0 B 0.25 10:05:00Z t:a",
        "ice yes 2 h 1 min 1 min 1 s 0 B 0.25 - t:b",
        "hill no - - - - - -",
    ]
    assert "hill makes no offer: no worker has 64 GiB of memory" in lines
    assert " 1. split: run over t:a at ocean, then run over t:b at ice, then merge at desk\n" in said
    assert "    1 min 10 s, 0.50 core-hours, 2.0 KiB moved\n    both parts run beside their data\n" in said
    assert " 2. move: move t:b from ice to ocean, then run at ocean\n    1 min 30 s, 0.0004 core-hours, 3.0 GiB moved\n" in said
    assert said.endswith("\nChosen: split: it is done 20 s earlier than moving t:b\n")
    assert lode.json("plan", *words, "--", "x") == PLAN
    assert scripted.seen == [("POST", "/v1/plans")] * 2, "nothing was submitted"


def test_a_plan_without_a_way_fails_with_the_reasons(lode, scripted):
    scripted.on("POST", "/v1/plans", lambda request: request.problem(409, "no site takes the job: ocean: takes no guests", "ask its operator"))
    said = lode("plan", "--", "x", status=1)
    assert said.stdout == "" and "ocean: takes no guests" in said.stderr and "ask its operator" in said.stderr
    scripted.routes.clear()
    scripted.on("POST", "/v1/plans", {"candidates": [refused("ocean", "takes no guests")], "alternatives": []})
    said = lode("plan", "--", "x", status=1)
    assert "ocean makes no offer: takes no guests" in said.stdout and "no site takes the job" in said.stderr
    lode("plan", "--json", "--", "x", status=1)


@pytest.mark.parametrize(
    "plan",
    [
        {"candidates": 3, "alternatives": [7]},
        {"candidates": [{"name": "a\x1b[31m", "has_offer": True, "price": 1, "run_seconds": 1e300, "data": {"a": 1}}], "alternatives": [{"steps": [None]}]},
        {"candidates": [{"has_offer": True, "start_seconds": -1e300}], "alternatives": [{"bytes_moved": -1, "seconds": "x", "core_hours": -2}], "reason": 5},
    ],
)
def test_a_strange_plan_is_shown_as_far_as_it_goes(lode, scripted, plan):
    scripted.on("POST", "/v1/plans", plan)
    assert "\x1b" not in lode("plan", "--", "x").stdout


# Where a job runs, and why it waits.


def held_events(scripted):
    """Events of job 17 that bring nothing until `end` is set."""
    state = {"end": None}

    def serve(request):
        request.begin_events()
        request.event("job", job("waiting", tasks={"waiting": 1}), "0.0.0")
        eventually(lambda: state["end"], seconds=60, about="the end of the test")
        request.event("task", task(stdout="done\n"), "1.5.0")
        request.event("end", state["end"], "1.5.0")

    scripted.on("GET", "/v1/jobs/17/events", serve)
    return state


def test_a_run_says_once_at_which_site_it_runs(lode, scripted):
    posted = []
    placed = job(place=OCEAN, at="ocean")
    scripted.on("POST", "/v1/jobs", lambda request: (posted.append(json.loads(request.body)), (201, placed))[1])
    scripted.on("GET", "/v1/jobs/17/events", lambda request: (request.begin_events(), request.event("log", log("x\n"), "0.2.0"),
                                                             request.event("task", task(stdout="x\n"), "1.2.0"), request.event("end", ENDED, "1.2.0"))[0])
    done = lode("run", "--at", "ocean", "--merge", "cat inputs/0/x", "--", "x")
    assert done.stdout == "x\n"
    assert done.stderr == f"lode: runs at ocean ({OCEAN[:23]}...)\n"
    assert posted[0]["at"] == "ocean" and posted[0]["merge"] == ["cat", "inputs/0/x"] and "stage" not in posted[0]
    assert lode("submit", "--at", "ocean", "--stage", "auto", "--", "x").stdout == "17\n"
    assert posted[1]["stage"] == "auto"


def test_a_run_in_parts_names_the_jobs(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job(spec={"input_from": [15, 16]})))
    scripted.on("GET", "/v1/jobs/17/events", lambda request: (request.begin_events(), request.event("end", ENDED, "1.2.0"))[0])
    assert lode("run", "--merge", "cat", "--", "x").stderr == "lode: runs over the outputs of jobs 15 and 16, when they have succeeded\n"


def test_of_what_tasks_of_a_part_wrote_each_end_is_shown_whatever_becomes_of_the_others(lode, scripted):
    """One has written more than fits into memory, one's bytes cannot be had, one has written nothing."""
    sizes = [70 << 20, 5, 0, 10]

    def end_of(request):
        index, offset = int(request.match[1]), int(request.match[2] or 0)
        left = sizes[index] - offset
        return (404, b"") if index == 1 else (200, b"x" * (left - 10) + b"\nthe end%d\n" % index if left else b"")

    merged = {"spec": {"input_from": [15]}}
    scripted.on("POST", "/v1/jobs", lambda request: (201, job(**merged)))
    scripted.on("GET", "/v1/jobs/17/events", lambda request: (request.begin_events(), request.event("end", {**ENDED, **merged}, "1.2.0"))[0])
    scripted.on("GET", "/v1/jobs/15", job("succeeded", 15, at="ocean"))
    scripted.on("GET", r"/v1/jobs/15/tasks\?.*", {"next": None, "tasks": [{"index": i, "stderr": {"size_bytes": sizes[i]}} for i in range(4)]})
    scripted.on("GET", r"/v1/jobs/15/tasks/(\d)/stderr(?:\?offset=(\d+))?", end_of)
    said = lode("run", "--merge", "cat", "--", "x").stderr
    assert said.count("lode logs 15 shows all") == 1 and len(said) < 1 << 17
    ends = [line for line in said.splitlines() if "the end" in line]
    assert ends == [f"[ocean, job 15] the end{i}" for i in (0, 3)]
    assert scripted.count("GET", f"/v1/jobs/15/tasks/0/stderr?offset={(70 << 20) - 65536}") == 1


def test_a_job_at_a_site_that_is_down_does_not_wait_without_a_word(lode, scripted):
    down = {"why": "it waits for site ocean: it does not answer since 3 s", "change": "it is tried again by itself"}
    state = held_events(scripted)
    reasons = [down, {**down, "why": down["why"].replace("3 s", "9 s")}]
    scripted.on("POST", "/v1/jobs", lambda request: (201, job("waiting", place=OCEAN, at="ocean")))
    scripted.on("GET", "/v1/jobs/17", lambda request: (200, job("running", place=OCEAN, at="ocean", tasks={"running": 1})))
    scripted.on("GET", "/v1/jobs/17/why", lambda request: (200, reasons.pop(0) if len(reasons) > 1 else reasons[0]))
    running = lode.start("run", "--at", "ocean", "--", "x")
    assert running.stderr.readline() == f"lode: runs at ocean ({OCEAN[:23]}...)\n"
    assert running.stderr.readline() == f"lode: job 17: {down['why']}\n"
    assert running.stderr.readline() == f"      {down['change']}\n"
    # The same reason with other numbers is no news; another one is.
    eventually(lambda: scripted.count("GET", "/v1/jobs/17/why") == 2, seconds=60, about="the second look")
    reasons[:] = [{"why": "it waits for site ocean: it takes no guests", "change": ""}]
    assert running.stderr.readline() == "lode: job 17: it waits for site ocean: it takes no guests\n"
    state["end"] = ENDED
    stdout, stderr = running.stdout.read(), running.stderr.read()
    assert (running.wait(60), stdout, stderr) == (0, "done\n", "")


def test_a_job_that_runs_here_needs_no_words(lode, scripted):
    state = held_events(scripted)
    scripted.on("POST", "/v1/jobs", lambda request: (201, job("waiting")))
    scripted.on("GET", "/v1/jobs/17", lambda request: (200, job("running", tasks={"running": 1})))
    running = lode.start("run", "--", "x")
    eventually(lambda: scripted.count("GET", "/v1/jobs/17") == 1, seconds=60, about="the look at the job")
    state["end"] = ENDED
    stdout, stderr = running.stdout.read(), running.stderr.read()
    assert (running.wait(60), stdout, stderr) == (0, "done\n", "")
    assert ("GET", "/v1/jobs/17/why") not in scripted.seen


def test_why_is_an_event_for_programs(lode, scripted):
    state = held_events(scripted)
    scripted.on("POST", "/v1/jobs", lambda request: (201, job("waiting")))
    scripted.on("GET", "/v1/jobs/17", lambda request: (200, job("waiting", tasks={"waiting": 1})))
    scripted.on("GET", "/v1/jobs/17/why", {"why": "no worker is large enough", "change": "ask for less"})
    running = lode.start("run", "--json", "--", "x")
    events = []
    while not any(each["event"] == "why" for each in events):
        events.append(json.loads(running.stdout.readline()))
    assert events[-1] == {"event": "why", "why": "no worker is large enough", "change": "ask for less"}
    state["end"] = ENDED
    assert running.stderr.read() == "" and running.wait(60) == 0


def test_ctrl_c_while_it_is_asked_why_detaches(lode, scripted):
    state = held_events(scripted)
    scripted.on("POST", "/v1/jobs", lambda request: (201, job("waiting")))
    scripted.on("GET", "/v1/jobs/17", until_gone)
    running = lode.start("run", "--", "x")
    eventually(lambda: scripted.count("GET", "/v1/jobs/17") == 1, seconds=60, about="the look at the job")
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130 and "lode wait 17" in stderr
    state["end"] = ENDED  # Nobody is left to hear it; the site's thread ends.


def test_a_streamed_run_and_wait_say_why_too(lode, scripted):
    ended = {"is": False}
    scripted.on("POST", "/v1/jobs", lambda request: (201, job("waiting", total=2)))

    def answers(request):
        eventually(lambda: ended["is"], seconds=60, about="the end of the test")
        return 200, b"a\nb\n", {"Lode-Next": "2", "Lode-Complete": "true"}

    def show(request):
        if "wait" in request.path:
            eventually(lambda: ended["is"], seconds=60, about="the end of the test")
        return 200, job("succeeded", total=2) if ended["is"] else job("waiting", total=2)

    scripted.on("GET", r"/v1/jobs/17/answers\?from=0&wait=\d+", answers)
    scripted.on("GET", "/v1/jobs/17/why", {"why": "no worker is here"})
    scripted.on("GET", r"/v1/jobs/17(\?.*)?", show)
    streamed = lode.start("run", "--stream", "--count", "2", "--", "x")
    waiting = lode.start("wait", "17")
    assert [each.stderr.readline() for each in (streamed, waiting)] == ["lode: job 17: no worker is here\n"] * 2
    ended["is"] = True
    assert streamed.stdout.read() == "a\nb\n" and (streamed.wait(60), waiting.wait(60)) == (0, 0)
    for each in (streamed, waiting):
        each.communicate()


def test_a_job_shows_its_place(lode, scripted):
    scripted.on("GET", "/v1/jobs/17", job("succeeded", place=OCEAN, at="ocean"))
    said = lode("job", "show", "17").stdout
    assert "Runs at:      ocean\n" in said and f"Place:        {OCEAN}\n" in said


# Datasets on their way.


def transfer(state="copying", done=0, version=1, **fields):
    return {
        "id": 3, "dataset": "t:a", "owner": "admin", "state": state, "source": "ice", "problem": "", "files_total": 2, "files_done": 0,
        "bytes_total": 4 << 20, "bytes_done": done, "bytes_per_second": 1 << 20, "version": version,
        "ordered_at": "2026-11-21T10:00:00Z", "finished_at": "2026-11-21T10:00:12Z" if state == "done" else None, **fields,
    }  # fmt: skip


def serve_transfer(scripted, states, **fields):
    """Scripts transfer 3: each look gives the next state. Returns what was ordered, and the looks' paths."""
    ordered, looks = [], []
    states = list(states)

    def order(request):
        ordered.append(json.loads(request.body))
        return 202, {**states.pop(0), **fields}

    def look(request):
        looks.append(request.path)
        return 200, {**(states.pop(0) if len(states) > 1 else states[0]), **fields}

    scripted.on("POST", "/v1/transfers", order)
    scripted.on("GET", r"/v1/transfers/3(\?.*)?", look)
    return ordered, looks


def test_a_dataset_is_brought_to_another_site(lode, scripted):
    states = [transfer("waiting"), transfer(version=2), transfer(done=1 << 20, version=2), transfer("verifying", 4 << 20, 3), transfer("done", 4 << 20, 4)]
    ordered, looks = serve_transfer(scripted, states, site=OCEAN)
    done = lode("data", "replicate", "t:a", "--to", "ocean", "--from", "ice")
    assert ordered == [{"id": "t:a", "to": "ocean", "from": "ice"}]
    assert done.stdout == "t:a is at ocean: 2 files, 4.0 MiB in 12 s\n" and done.stderr == ""
    site = OCEAN.replace(":", "%3A")
    assert [path.replace(site, OCEAN) for path in looks] == [f"/v1/transfers/3?wait=10&version={version}&site={OCEAN}" for version in (1, 2, 2, 3)]


def test_a_dataset_is_brought_here(lode, scripted):
    ordered, looks = serve_transfer(scripted, [transfer("waiting"), transfer("done", version=2)])
    assert lode("data", "replicate", "t:a").stdout.startswith("t:a is at this site: 2 files")
    assert ordered == [{"id": "t:a"}] and looks == ["/v1/transfers/3?wait=10&version=1"]
    scripted.routes.clear()
    serve_transfer(scripted, [transfer("waiting"), transfer("done")])
    assert lode.json("data", "replicate", "t:a")["state"] == "done"
    scripted.routes.clear()
    serve_transfer(scripted, [transfer("done", source=None, files_total=0, bytes_total=0)])
    assert lode("data", "replicate", "t:a").stdout == "t:a is at this site already\n"


def test_a_bar_shows_bytes_rate_and_time_left_on_a_terminal(lode, scripted):
    states = [transfer("waiting"), *(transfer(done=i << 20, version=2 + i) for i in range(4) for _ in range(3)), transfer("done", 4 << 20, 9)]
    _, looks = serve_transfer(scripted, states)
    said, status = lode.on_terminal("data", "replicate", "t:a")
    assert status == 0 and "wait=1&" in looks[0]
    assert "3.0 MiB / 4.0 MiB" in said and "iB/s" in said and " left" in said and "\u2588" in said
    assert said.rstrip().endswith("t:a is at this site: 2 files, 4.0 MiB in 12 s")


def test_what_keeps_a_transfer_is_said_once_and_its_failure_ends_the_command(lode, scripted):
    stuck = [transfer("waiting", problem=f"ice: cannot connect ({i} tries)", version=1 + i) for i in range(1, 4)]
    serve_transfer(scripted, [transfer("waiting"), *stuck, transfer("failed", problem="a/b.nc has other bytes than ice says")])
    done = lode("data", "replicate", "t:a", "--to", "ocean", status=1)
    assert done.stderr.count("cannot connect") == 1 and "tried again by itself" in done.stderr
    assert "t:a is not at ocean: the transfer failed: a/b.nc has other bytes than ice says" in done.stderr
    assert done.stdout == ""
    scripted.routes.clear()
    serve_transfer(scripted, [transfer("waiting"), transfer("cancelled")])
    assert "was cancelled" in lode("data", "replicate", "t:a", status=1).stderr
    scripted.routes.clear()
    serve_transfer(scripted, [transfer("failed", problem="no room")])
    done = lode("data", "replicate", "t:a", "--json", status=1)
    assert json.loads(done.stdout)["problem"] == "no room"


def test_an_order_that_is_refused_says_why(lode, scripted):
    scripted.on("POST", "/v1/transfers", lambda request: request.problem(404, "no site is called oceam", "lode sites lists them"))
    said = lode("data", "replicate", "t:a", "--to", "oceam", status=1).stderr
    assert "no site is called oceam" in said and "lode sites lists them" in said
    scripted.routes.clear()
    scripted.on("POST", "/v1/transfers", {"state": "waiting"})
    assert "names no transfer" in lode("data", "replicate", "t:a", status=1).stderr


def test_ctrl_c_detaches_from_a_transfer_and_says_how_to_come_back(lode, scripted):
    scripted.on("POST", "/v1/transfers", lambda request: (202, transfer(site=OCEAN)))
    scripted.on("GET", "/v1/transfers/3.*", until_gone)
    running = lode.start("data", "replicate", "t:a", "--to", "the ocean")
    eventually(lambda: len(scripted.seen) == 2, seconds=60, about="the look at the transfer")
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130 and stdout == ""
    assert "detached" in stderr and "lode transfers 3 --at 'the ocean'" in stderr and "lode transfers cancel 3 --at 'the ocean'" in stderr


def test_detach_prints_the_number(lode, scripted):
    scripted.on("POST", "/v1/transfers", lambda request: (202, transfer("waiting")))
    done = lode("data", "replicate", "t:a", "--detach")
    assert (done.stdout, done.stderr) == ("3\n", "")
    scripted.routes.clear()
    scripted.on("POST", "/v1/transfers", lambda request: (202, transfer("waiting", site=OCEAN)))
    done = lode("data", "replicate", "t:a", "--to", "ocean", "--detach")
    assert done.stdout == "3\n" and "lode transfers 3 --at ocean" in done.stderr
    assert lode.json("data", "replicate", "t:a", "--to", "ocean", "--detach")["site"] == OCEAN
    assert all(method == "POST" for method, _ in scripted.seen)


def test_a_site_that_goes_away_during_a_transfer_is_waited_out(lode, scripted):
    looks = []

    def look(request):
        looks.append(request.path)
        return request.break_off() if len(looks) < 3 else (200, transfer("done"))

    scripted.on("POST", "/v1/transfers", lambda request: (202, transfer()))
    scripted.on("GET", "/v1/transfers/3.*", look)
    assert "is at this site" in lode("data", "replicate", "t:a").stdout


def test_transfers_are_listed_shown_and_ended(lode, scripted):
    pages = [{"transfers": [transfer(done=1 << 20)], "next": "3"}, {"transfers": [transfer("failed", id=2, source="")], "next": None}]
    scripted.on("GET", r"/v1/transfers(\?cursor=3)?", lambda request: (200, pages[1 if request.match[1] else 0]))
    scripted.on("GET", r"/v1/transfers/3(\?site=ocean)?", lambda request: (200, transfer(problem="slow", site=OCEAN) if request.match[1] else transfer(done=1 << 20)))
    scripted.on("DELETE", r"/v1/transfers/3(\?site=ocean)?", lambda request: (204, b""))
    lines = lode("transfers").stdout.splitlines()
    assert lines[0].split() == ["TRANSFER", "DATASET", "STATE", "DONE", "SIZE", "FROM", "OWNER", "ORDERED"]
    assert lines[1].split()[:8] == ["3", "t:a", "copying", "1.0", "MiB", "4.0", "MiB", "ice"] and lines[2].split()[:3] == ["2", "t:a", "failed"]
    assert [each["id"] for each in lode.json("transfers")["transfers"]] == [3, 2]
    said = lode("transfers", "3").stdout
    assert "Done:         1.0 MiB of 4.0 MiB, 0 of 2 files, 1.0 MiB/s\n" in said and "At site" not in said
    assert f"At site:      {OCEAN}\n" in lode("transfers", "3", "--at", "ocean").stdout
    assert lode.json("transfers", "3", "--at", "ocean")["problem"] == "slow"
    assert lode("transfers", "cancel", "3").stdout == "transfer 3 is cancelled\n"
    assert lode.json("transfers", "cancel", "3", "--at", "ocean") == {}
    assert scripted.seen[-2:] == [("DELETE", "/v1/transfers/3"), ("DELETE", "/v1/transfers/3?site=ocean")]


# What needs no site.


@pytest.mark.parametrize(
    "words, says",
    [
        (["plan"], "an argument is missing"),
        (["plan", "--stage", "always", "--", "x"], "it is one of auto|never"),
        (["run", "--merge", "cat a | sort", "--", "x"], '--merge: "|" needs a shell here\n      ask for one: "sh -c'),
        (["submit", "--merge", "cat *", "--", "x"], '--merge: "*" needs a shell'),
        (["plan", "--merge", "echo 'a", "--", "x"], "--merge: the quote ' does not end"),
        (["run", "--merge", "", "--", "x"], "--merge: the command is empty"),
        (["data", "replicate"], "an argument is missing"),
        (["data", "replicate", "a", "b"], "lode data replicate"),
        (["data", "replicate", "t:a", "--too", "x"], "did you mean --to"),
        (["transfers", "x"], '"x" is not a transfer'),
        (["transfers", "0"], '"0" is not a transfer'),
        (["transfers", "--at", "ocean"], "--at needs the number of a transfer"),
        (["transfers", "cancel"], "an argument is missing"),
        (["transfers", "cancel", "3x"], '"3x" is not a transfer'),
        (["transfer"], 'did you mean "lode transfers"'),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_way_out(lode, scripted, words, says):
    assert says in lode(*words, status=2).stderr
    assert scripted.seen == []


def test_a_command_that_is_a_family_too_is_completed(lode):
    script = lode("completion", "bash").stdout
    for words, wanted in [('transfers ""', "cancel"), ("transfers --a", "--at"), ("transfers cancel --a", "--at"), ("plan --mer", "--merge")]:
        count = len(words.split())
        asked = f'{script}\nCOMP_WORDS=(lode {words}); COMP_CWORD={count}; _lode; echo "${{COMPREPLY[*]}}"\n'
        done = subprocess.run(["/bin/bash"], input=asked, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == wanted, words
