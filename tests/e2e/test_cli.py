"""The command line against a site that is scripted: breaks, restarts, wrong keys, hostile answers; and what needs no site at all."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import termios

import pytest

from conftest import PROGRAMS, eventually
from scripted_site import TOKEN, ScriptedSite, job, log, task


@pytest.fixture
def scripted(tmp_path, lode):
    """A scripted site that belongs to the user of `lode`: no login is needed."""
    site = ScriptedSite(tmp_path / "scripted").start()
    site.be_local(lode.data)
    yield site
    site.stop()


@pytest.fixture
def foreign(tmp_path):
    """A scripted site of somebody else."""
    site = ScriptedSite(tmp_path / "foreign").start()
    site.on("GET", "/v1/whoami", {"principal": "alice", "role": "user", "token": 1})
    site.on("GET", "/v1/jobs.*", {"jobs": [], "next": None})
    yield site
    site.stop()


def events(site, *says):
    """Scripts the events of job 17: each is (name, data, id)."""

    def serve(request):
        request.begin_events()
        for name, data, event_id in says:
            request.event(name, data, event_id)

    site.on("GET", "/v1/jobs/17/events", serve)


ENDED = job("succeeded", tasks={"succeeded": 1})


# Help needs no site.


@pytest.mark.parametrize("command", ("login", "hub add", "worker", "worker enroll", "pool connect"))
def test_the_key_that_there_must_be_has_one_name_in_all_commands(lode, command):
    said = lode(*command.split(), "--help").stdout
    assert "--pin FINGERPRINT" in said and "--fingerprint" not in said


def test_the_overview_lists_all_commands(lode):
    said = lode("--help").stdout
    for name in ("run", "submit", "data add", "login", "why", "token create", "completion"):
        assert f"  {name} " in said, name
    assert lode("--version").stdout.startswith("lode ")


def commands(lode):
    said = lode("--help").stdout
    return [line[2:20].strip() for line in said.splitlines() if re.match("  [a-z]", line)]


def test_every_command_has_help_with_an_example_and_a_clean_manual_page(lode):
    for name in commands(lode):
        words = name.split()
        said = lode(*words, "--help").stdout
        assert said.startswith(f"Usage: lode {name} [OPTION]...") and "\nExamples:\n" in said, name
        page = lode("help", "--man", *words).stdout
        checked = subprocess.run(["/usr/bin/mandoc", "-T", "lint", "-W", "warning"], input=page, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout


def test_the_help_says_which_values_an_option_takes(lode):
    assert "--sandbox bubblewrap|none" in lode("site", "--help").stdout
    assert "-s, --state waiting|running|held|succeeded|failed|cancelled" in lode("jobs", "--help").stdout
    assert r"\fIuse|refresh|off" in lode("help", "--man", "run").stdout


def test_every_command_has_json(lode):
    for name in commands(lode):
        assert "--json" in lode(*name.split(), "--help").stdout, name
    assert lode.json("help", "run")["text"] == lode("help", "run").stdout
    assert lode.json("completion", "bash")["text"] == lode("completion", "bash").stdout


def test_completion_scripts_are_right_for_their_shells(lode):
    script = lode("completion", "bash").stdout
    asked = script + '\nCOMP_WORDS=(lode run --mem); COMP_CWORD=2; _lode; echo "${COMPREPLY[*]}"\n'
    asked += 'COMP_WORDS=(lode data ""); COMP_CWORD=2; _lode; echo "${COMPREPLY[*]}"\n'
    # A word that is a command and the first of others too.
    asked += 'COMP_WORDS=(lode sites ""); COMP_CWORD=2; _lode; echo "${COMPREPLY[*]}"\n'
    asked += 'COMP_WORDS=(lode sites --j); COMP_CWORD=2; _lode; echo "${COMPREPLY[*]}"\n'
    # The values of an option that takes only some.
    asked += 'COMP_WORDS=(lode run --cache ""); COMP_CWORD=3; _lode; echo "${COMPREPLY[*]}"\n'
    asked += 'COMP_WORDS=(lode jobs -s r); COMP_CWORD=3; _lode; echo "${COMPREPLY[*]}"\n'
    done = subprocess.run(["/bin/bash"], input=asked, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert said == ["--memory", "add list show verify replicate remove", "accept deny", "--json", "use refresh off", "running"]
    fish = lode("completion", "fish").stdout
    assert "complete -c lode" in fish and "-l cache -r -f -a 'use refresh off'" in fish
    assert "'run --cache') compadd -- use refresh off; return ;;" in lode("completion", "zsh").stdout
    assert lode("completion", "zsh").stdout.startswith("#compdef lode\n")


@pytest.mark.parametrize(
    "words, says",
    [
        (["rnu", "x"], 'did you mean "lode run"'),
        (["run", "--memroy", "1G", "--", "x"], "did you mean --memory"),
        (["run"], "an argument is missing"),
        (["run", "--count", "0", "--", "x"], "a whole number from 1"),
        (["jobs", "--limit", "x"], "a whole number"),
        (["why", "17/x"], "neither a job nor a task"),
        (["data", "remvoe"], 'there is no command "data remvoe"\n      did you mean "lode data remove"'),
        (["jobs", "17"], "lode jobs [OPTION]...\n"),
        (["cancel", "17/3"], "names a task"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_way_out(lode, scripted, words, says):
    assert says in lode(*words, status=2).stderr


@pytest.mark.parametrize("words", ((), ("--json",)))
def test_a_worker_whose_token_file_is_not_there_ends_at_the_start(lode, tmp_path, words):
    given = ["--site", "https://127.0.0.1:1", "--pin", "sha256:" + "0" * 64, "--directory", tmp_path / "worker"]
    said = lode("worker", *given, "--token-file", tmp_path / "missing", *words, status=1)
    assert f"cannot open {tmp_path}/missing" in said.stderr and "lode token create --role worker" in said.stderr
    assert not words or json.loads(said.stdout)["state"] == "failed"


# Meeting sites.


def test_without_any_site_the_way_out_is_said(lode):
    said = lode("jobs", status=1).stderr
    assert "lode site" in said and "lode login" in said


def test_a_site_that_is_down_is_named(lode, scripted):
    scripted.stop()
    assert scripted.url in lode("jobs", status=1).stderr
    assert lode("run", "--", "true", status=125).stdout == ""


def test_login_refuses_an_unknown_key_without_a_terminal_and_says_how_to_accept_it(lode, foreign):
    said = lode("login", foreign.url, status=1, start_new_session=True).stderr
    assert f"--pin {foreign.fingerprint}" in said
    assert not (lode.home / ".config" / "lode" / "known_sites").exists()


def test_login_with_fingerprint_and_token_asks_nothing_and_makes_the_site_the_default(lode, foreign):
    done = lode("login", foreign.url, "--pin", foreign.fingerprint, "--token", "-", input=TOKEN + "\n")
    assert "alice" in done.stdout
    assert (lode.home / ".config" / "lode" / "tokens").stat().st_mode & 0o077 == 0
    assert lode.json("jobs") == {"jobs": [], "next": None}
    assert TOKEN not in done.stdout + done.stderr


def test_a_wrong_fingerprint_is_refused(lode, foreign):
    said = lode("login", foreign.url, "--pin", "sha256:" + "0" * 64, "--token", "-", input=TOKEN, status=1).stderr
    assert foreign.fingerprint in said


@pytest.mark.parametrize("is_known", (False, True))
def test_a_pin_is_looked_at_whether_the_site_is_known_or_not(lode, foreign, is_known):
    if is_known:
        lode("login", foreign.url, "--pin", foreign.fingerprint, "--token", "-", input=TOKEN)
    other = "sha256:" + "0" * 64
    said = lode("login", foreign.url, "--pin", other, "--token", "-", input=TOKEN, status=1).stderr
    assert foreign.fingerprint in said and other in said and "ask its operator" in said
    before = len(foreign.seen)
    for rubbish in ("garbage", "sha256:00", foreign.fingerprint + "0", ""):
        assert "is not a SHA-256 digest" in lode("login", foreign.url, "--pin", rubbish, "--token", "-", input=TOKEN, status=1).stderr
    assert len(foreign.seen) == before
    lode("login", foreign.url, "--pin", foreign.fingerprint.removeprefix("sha256:"), "--token", "-", input=TOKEN)


def test_a_pin_of_ones_own_site_is_looked_at(lode, scripted):
    scripted.on("GET", "/v1/whoami", {"principal": "alice", "role": "user", "token": 1})
    assert scripted.fingerprint in lode("login", "--pin", "sha256:" + "0" * 64, status=1).stderr
    lode("login", "--pin", scripted.fingerprint)


def test_a_changed_key_is_refused_with_the_way_out(lode, foreign, tmp_path):
    lode("login", foreign.url, "--pin", foreign.fingerprint, "--token", "-", input=TOKEN)
    foreign.stop()
    other = ScriptedSite(tmp_path / "other")
    other.port = foreign.port
    other.on("GET", "/v1/jobs.*", {"jobs": [], "next": None})
    other.start()
    try:
        assert lode("jobs", status=1).stdout == ""
        assert other.seen == []  # The token was not shown to it.
        said = lode("login", other.url, "--token", "-", input=TOKEN, status=1).stderr
        assert "known_sites" in said and "--forget" in said
        lode("login", "--forget", other.url)
        assert other.fingerprint in lode("login", other.url, status=1, start_new_session=True).stderr
    finally:
        other.stop()


def test_a_token_that_the_site_refuses_is_not_kept(lode, foreign):
    foreign.routes.clear()
    foreign.on("GET", "/v1/whoami", lambda request: request.problem(401, "this token is not known"))
    said = lode("login", foreign.url, "--pin", foreign.fingerprint, "--token", "-", input=TOKEN, status=1).stderr
    assert "lode token create" in said
    assert "lode login" in lode("jobs", "--site", foreign.url, status=1).stderr


def test_login_asks_on_the_terminal(lode, foreign):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PROGRAMS / "lode", ["lode", "login", foreign.url], lode.environment)
    said = b""

    def has(words):
        nonlocal said
        said += os.read(terminal, 4096)
        return words in said

    eventually(lambda: has(b"[yes/no]"), about="the question")
    assert foreign.fingerprint.encode() in said
    os.write(terminal, b"yes\n")
    eventually(lambda: has(b"Token:"), about="the second question")
    os.write(terminal, TOKEN.encode() + b"\n")
    eventually(lambda: has(b"Logged in"), about="the end of the login")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert TOKEN.encode() not in said  # It was typed without an echo.


def test_ctrl_c_at_the_question_for_the_token_gives_the_terminal_back(lode, foreign):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PROGRAMS / "lode", ["lode", "login", foreign.url, "--pin", foreign.fingerprint], lode.environment)
    said = b""

    def has(words):
        nonlocal said
        said += os.read(terminal, 4096)
        return words in said

    eventually(lambda: has(b"Token:"), about="the question")
    assert not termios.tcgetattr(terminal)[3] & termios.ECHO
    os.write(terminal, b"\x03")
    eventually(lambda: has(b"interrupted"), about="the end of the login")
    assert termios.tcgetattr(terminal)[3] & termios.ECHO
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(terminal)


# Running.


def test_output_goes_where_it_belongs_and_is_not_repeated(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    events(
        scripted,
        ("log", log("one\n"), "0.4.0"),
        ("log", log("oops\n", stream="stderr"), "0.4.5"),
        ("log", log("two\n", offset=4), "0.8.5"),
        ("task", task(stdout="one\ntwo\nthree\n", stderr="oops\n"), "1.14.5"),
        ("end", ENDED, "1.14.5"),
    )
    done = lode("run", "--", "x")
    assert (done.stdout, done.stderr) == ("one\ntwo\nthree\n", "oops\n")
    assert scripted.seen == [("POST", "/v1/jobs"), ("GET", "/v1/jobs/17/events")]


def test_a_break_in_the_middle_is_taken_up_where_it_was(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    ids = []

    def serve(request):
        ids.append(request.headers.get("Last-Event-ID"))
        request.begin_events()
        if len(ids) == 1:
            request.event("log", log("one\n"), "0.4.0")
            request.wfile.write(b"id: 0.8.0\nevent: log\nda")
        elif len(ids) == 2:
            request.event("log", log("one\ntwo\n"), "0.8.0")
        else:
            request.event("task", task(stdout="one\ntwo\nthree\n"), "1.0.0")
            request.event("end", ENDED, "1.0.0")

    scripted.on("GET", "/v1/jobs/17/events", serve)
    assert lode("run", "--", "x").stdout == "one\ntwo\nthree\n"
    assert ids == [None, "0.4.0", "0.8.0"]


def test_a_restart_of_the_site_at_another_address_is_waited_out(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    scripted.on("GET", "/v1/jobs/17/events", lambda request: (request.begin_events(), request.event("log", log("one\n"), "0.4.0"))[0])
    running = lode.start("run", "--", "x")
    assert running.stdout.readline() == "one\n"
    scripted.stop()
    eventually(lambda: "away" in running.stderr.readline(), about="the word that the site is away")
    scripted.routes.pop()
    events(scripted, ("task", task(stdout="one\ntwo\n"), "1.0.0"), ("end", ENDED, "1.0.0"))
    scripted.port = 0
    scripted.start().be_local(lode.data)
    stdout, stderr = running.stdout.read(), running.stderr.read()
    assert (running.wait(30), stdout) == (0, "two\n")
    assert "back" in stderr


def test_an_unanswered_submission_is_repeated_under_the_same_key(lode, scripted):
    keys = []

    def post(request):
        keys.append(request.headers["Idempotency-Key"])
        return request.break_off() if len(keys) < 3 else (201, job())

    scripted.on("POST", "/v1/jobs", post)
    assert lode("submit", "--", "x").stdout == "17\n"
    assert len(keys) == 3 and len(set(keys)) == 1


def test_only_blobs_that_the_site_lacks_are_sent(lode, scripted):
    sent = {}
    there = "sha256:" + hashlib.sha256(b"known").hexdigest()
    scripted.on("HEAD", f"/v1/blobs/{there}", lambda request: (200, b""))
    scripted.on("HEAD", "/v1/blobs/.*", lambda request: (404, b""))
    scripted.on("PUT", "/v1/blobs/(.*)", lambda request: (sent.update({request.match[1]: request.body}), (201, b""))[1])
    posted = []
    scripted.on("POST", "/v1/jobs", lambda request: (posted.append(json.loads(request.body)), (201, job()))[1])
    (lode.home / "known.txt").write_text("known")
    (lode.home / "run.sh").write_text("#!/bin/sh\n")
    (lode.home / "run.sh").chmod(0o755)
    words = ["--file", "known.txt", "--file", "run.sh=go", "--items", "-", "--data", "url:http://h/a?b=c/d", "--data", "doi:10.1/x=name"]
    words += ["--env", "A=b=c", "--env", "USER", "--cpus", "0.5", "--memory", "2G", "--walltime", "90s", "--after", "3", "--cache", "off", "--output", "*.nc"]
    lode("submit", *words, "--", "./go", "{}", input="x\ny\n")
    assert sorted(sent.values()) == [b"#!/bin/sh\n", b"x\ny\n"]
    assert all(name == "sha256:" + hashlib.sha256(body).hexdigest() for name, body in sent.items())
    document = posted[0]
    assert document["command"] == ["./go", "{}"]
    assert document["files"] == [
        {"name": "known.txt", "blob": there, "executable": False},
        {"name": "go", "blob": "sha256:" + hashlib.sha256(b"#!/bin/sh\n").hexdigest(), "executable": True},
    ]
    assert document["data"] == [{"id": "url:http://h/a?b=c/d"}, {"id": "doi:10.1/x", "name": "name"}]
    assert document["environment"] == {"A": "b=c", "USER": "tester"}
    assert (document["cpus"], document["memory_bytes"], document["walltime_seconds"]) == (0.5, 2 << 30, 90)
    assert (document["after"], document["cache"], document["outputs"]) == ([3], "off", ["*.nc"])
    assert document["items"] == "sha256:" + hashlib.sha256(b"x\ny\n").hexdigest()


def test_tasks_output_that_is_too_large_for_an_event_is_fetched(lode, scripted):
    big = "x" * 100000 + "\n"
    scripted.on("POST", "/v1/jobs", lambda request: (201, job(total=2)))
    scripted.on("GET", r"/v1/jobs/17/tasks/1/stdout\?offset=0", lambda request: (200, big.encode(), {"Lode-Complete": "true"}))
    events(
        scripted,
        ("task", task(1, stdout=None, stdout_size=len(big)), "1.0.0"),
        ("task", task(0, stdout="small\n", state="failed", exit_code=3, message="exit status 3"), "2.0.0"),
        ("end", job("failed", total=2, exit_code=3, message="task 0: exit status 3", tasks={"succeeded": 1, "failed": 1}), "2.0.0"),
    )
    done = lode("run", "--count", "2", "--", "x", status=3)
    assert done.stdout == big + "small\n"
    assert "task 0 failed: exit status 3" in done.stderr


@pytest.mark.parametrize(
    "state, exit_code, status",
    [("failed", 42, 42), ("failed", 139, 139), ("failed", 124, 124), ("failed", None, 125), ("cancelled", 0, 143)],
)
def test_the_exit_status_says_how_the_command_ended(lode, scripted, state, exit_code, status):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    events(scripted, ("task", task(state=state, exit_code=exit_code), "1.0.0"), ("end", job(state, exit_code=exit_code), "1.0.0"))
    lode("run", "--", "x", status=status)


def test_ctrl_c_detaches_and_says_how_to_come_back(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    hold = eventually  # Held open until the client is gone.

    def serve(request):
        request.begin_events()
        request.event("log", log("one\n"), "0.4.0")
        hold(lambda: request.connection.recv(1) == b"", about="the end of the client")

    scripted.on("GET", "/v1/jobs/17/events", serve)
    running = lode.start("run", "--", "x")
    assert running.stdout.readline() == "one\n"
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    for way in ("lode logs -f 17", "lode wait 17", "lode cancel 17"):
        assert way in stderr


def test_answers_of_a_streamed_job_come_in_order(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job(total=3)))
    scripted.on("GET", r"/v1/jobs/17/answers\?from=0&wait=\d+", lambda request: (200, b"a\nb\n", {"Lode-Next": "2"}))
    scripted.on("GET", r"/v1/jobs/17/answers\?from=2&wait=\d+", lambda request: (200, b"c\n", {"Lode-Next": "3", "Lode-Complete": "true"}))
    scripted.on("GET", r"/v1/jobs/17\?wait=60", job("succeeded", total=3))
    assert lode("run", "--stream", "--count", "3", "--", "x").stdout == "a\nb\nc\n"


def test_json_events_are_one_document_a_line(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    events(scripted, ("task", task(stdout="x"), "1.0.0"), ("end", ENDED, "1.0.0"))
    assert [each["event"] for each in lode.json("run", "--", "x")] == ["submitted", "task", "end"]


def test_dropped_live_output_is_said_and_passed_over(lode, scripted):
    states = ["running", "running", "succeeded"]
    scripted.on("GET", "/v1/jobs/17/tasks/0", lambda request: (200, task(state=states.pop(0))))
    scripted.on("GET", r"/v1/jobs/17/tasks/0/stdout\?offset=0", lambda request: (200, b"late\n", {"Lode-Dropped": "100"}))
    scripted.on("GET", r"/v1/jobs/17/tasks/0/stdout\?offset=105", lambda request: (200, b"last\n" if states == [] else b""))
    scripted.on("GET", r"/v1/jobs/17/tasks/0/stderr\?offset=0", lambda request: (200, b""))
    done = lode("logs", "-f", "17/0")
    assert done.stdout == "late\nlast\n" and "100 bytes" in done.stderr


def test_logs_of_what_runs_and_has_written_nothing_name_the_way_to_follow_it(lode, scripted):
    running = {"succeeded": 0, "running": 1}
    scripted.on("GET", "/v1/jobs/17", job(tasks=running))
    scripted.on("GET", r"/v1/jobs/17/tasks\?limit=1000", {"tasks": [], "next": None})
    scripted.on("GET", r"/v1/jobs/18/tasks\?limit=1000", {"tasks": [task(index=0)], "next": None})
    scripted.on("GET", r"/v1/jobs/18/tasks/0/std(out|err)\?offset=0", lambda request: (200, b"said\n" if request.match[1] == "out" else b""))
    scripted.on("GET", "/v1/jobs/18", job(job_id=18, tasks=running))

    def on_terminal(*words):
        controller, terminal = pty.openpty()
        with lode.start(*words, stderr=terminal) as process:
            os.close(terminal)
            process.stdout.read()
            assert process.wait(60) == 0
        try:
            return os.read(controller, 4096).decode()
        except OSError:
            return ""
        finally:
            os.close(controller)

    assert "lode logs -f 17 follows it" in on_terminal("logs", "17")
    assert on_terminal("logs", "18") == "" and on_terminal("logs", "17", "--json") == ""
    assert lode("logs", "17").stderr == ""


# Outputs.


def outputs(site, files, total=1):
    """Scripts the outputs of job 17: {path: bytes}."""
    listed = [
        {"index": i % total, "path": path, "digest": "sha256:" + hashlib.sha256(body).hexdigest(), "size_bytes": len(body), "mode": 0o644}
        for i, (path, body) in enumerate(files.items())
    ]
    site.on("GET", "/v1/jobs/17", job("succeeded", total=total))
    site.on("GET", r"/v1/jobs/17/outputs\?limit=\d+", {"outputs": listed, "next": None})
    return {each["digest"]: files[each["path"]] for each in listed}


def test_outputs_are_fetched_checked_and_not_fetched_again(lode, scripted):
    bodies = outputs(scripted, {"a.txt": b"alpha", "deep/b.txt": b"beta"})
    scripted.on("GET", "/v1/blobs/(.*)", lambda request: (200, bodies[request.match[1]]))
    assert "2 files" in lode("outputs", "17", "into").stdout
    assert (lode.home / "into/a.txt").read_bytes() == b"alpha"
    assert (lode.home / "into/deep/b.txt").read_bytes() == b"beta"
    fetched = len(scripted.seen)
    lode("outputs", "17", "into")
    assert len(scripted.seen) == fetched + 2
    assert sorted(path.name for path in (lode.home / "into").iterdir()) == ["a.txt", "deep"]


def test_outputs_of_several_tasks_have_a_folder_each(lode, scripted):
    bodies = outputs(scripted, {"a": b"0", "b": b"1"}, total=2)
    scripted.on("GET", "/v1/blobs/(.*)", lambda request: (200, bodies[request.match[1]]))
    lode("outputs", "17", "into")
    assert (lode.home / "into/0/a").read_bytes() == b"0" and (lode.home / "into/1/b").read_bytes() == b"1"


def test_a_broken_download_goes_on_where_it_was(lode, scripted):
    body = os.urandom(300000)
    outputs(scripted, {"big": body})
    ranges = []

    def serve(request):
        ranges.append(request.headers.get("Range"))
        if len(ranges) == 1:
            request.send_response(200)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body[:100000])
            request.wfile.flush()
            return request.break_off()
        start = int(ranges[-1].split("=")[1].rstrip("-"))
        return (206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})

    scripted.on("GET", "/v1/blobs/.*", serve)
    lode("outputs", "17", "into")
    assert (lode.home / "into/big").read_bytes() == body
    assert ranges[0] is None and len(ranges) == 2


def test_wrong_bytes_are_refused_and_leave_nothing(lode, scripted):
    outputs(scripted, {"a": b"right"})
    scripted.on("GET", "/v1/blobs/.*", lambda request: (200, b"wrong"))
    assert "did not arrive" in lode("outputs", "17", "into", status=1).stderr
    assert list((lode.home / "into").iterdir()) == []


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", "link/out", "", "."])
def test_nothing_is_written_outside_the_folder(lode, scripted, path):
    bodies = outputs(scripted, {path: b"evil"})
    scripted.on("GET", "/v1/blobs/(.*)", lambda request: (200, bodies[request.match[1]]))
    (lode.home / "into").mkdir()
    (lode.home / "elsewhere").mkdir()
    (lode.home / "into/link").symlink_to(lode.home / "elsewhere")
    lode("outputs", "17", "into", status=1)
    assert list((lode.home / "elsewhere").iterdir()) == []
    assert not (lode.home / "out").exists() and not os.path.exists("/etc/out")


# Data, lists.


def test_data_paths_are_made_absolute_and_registration_is_watched(lode, scripted):
    posted = []
    states = [{"id": "t:x", "state": "registering", "progress": {"files_done": 0, "files_total": 1, "bytes_done": 1, "bytes_total": 2}}]
    states += [{"id": "t:x", "state": "available", "file_count": 1, "size_bytes": 2}]
    scripted.on("POST", "/v1/datasets", lambda request: (posted.append(json.loads(request.body)), (201, states[0]))[1])
    scripted.on("GET", r"/v1/datasets/t%3Ax\?wait=\d+", lambda request: (200, states[1]))
    (lode.home / "x.nc").write_text("hi")
    done = lode("data", "add", "t:x", "x.nc", "--title", "X")
    assert done.stdout == "t:x: available, 1 file, 2 B\n"
    assert posted == [{"id": "t:x", "paths": [str((lode.home / "x.nc").resolve())], "title": "X"}]
    # A whole path that is not on this machine may be on the site's; a part of one can only be of this.
    lode("data", "add", "t:x", "/only/there/x.nc")
    assert posted[1]["paths"] == ["/only/there/x.nc"]
    assert "give the whole path there" in lode("data", "add", "t:x", "y.nc", status=1).stderr
    assert len(posted) == 2


def test_a_stream_of_events_that_is_none_is_refused(lode, scripted):
    scripted.on("POST", "/v1/jobs", lambda request: (201, job()))
    scripted.on("GET", "/v1/jobs/17/events", {"jobs": []})
    assert "not a stream of events" in lode("run", "--", "x", status=125).stderr


def test_a_list_shows_all_pages_and_no_control_characters(lode, scripted):
    first = {"id": "t:a", "state": "available", "file_count": 1, "size_bytes": 1536, "registered_at": "2020-01-02T03:04:05Z", "title": "\033[31mred"}
    scripted.on("GET", "/v1/datasets", {"datasets": [first], "next": "c 1"})
    scripted.on("GET", r"/v1/datasets\?cursor=c%201", {"datasets": [{**first, "id": "t:b", "title": ""}], "next": None})
    lines = lode("data", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "FILES", "SIZE", "REGISTERED", "TITLE"]
    assert lines[1] == "t:a  available      1  1.5 KiB  2020-01-02  ?[31mred"
    assert [each["id"] for each in lode.json("data", "list")["datasets"]] == ["t:a", "t:b"]


def test_a_problem_of_the_site_is_said_with_its_way_out(lode, scripted):
    scripted.on("GET", "/v1/jobs/99", lambda request: request.problem(404, "no job 99", "lode jobs lists those that there are"))
    done = lode("job", "show", "99", status=1)
    assert done.stderr.splitlines() == ["lode: no job 99", "      lode jobs lists those that there are"]
