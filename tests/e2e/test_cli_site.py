"""The command line with a real site: what a user sees when the site is killed, when Ctrl-C is typed, and on a terminal."""

import signal
import subprocess

import pytest

from conftest import PROGRAMS

# Prints lines for as long as the file `go` is missing in the registered folder, then a last one.
COUNTER = "i=0; while [ ! -e /data/gate/go ]; do echo $i; i=$((i+1)); sleep 0.05; done; echo end"


def gate(lode, folder):
    """A registered folder through which a test tells a running task to end."""
    (folder / "gate").mkdir()
    (folder / "gate" / "readme").write_text("x")
    lode("data", "add", "t:gate", folder / "gate")
    return folder / "gate" / "go"


def newest(lode):
    return str(lode.json("jobs", "--limit", "1")["jobs"][0]["id"])


def is_whole(text):
    """Each number once, in order, then the end."""
    lines = text.split("\n")
    return lines[-2:] == ["end", ""] and lines[:-2] == [str(i) for i in range(len(lines) - 2)]


def test_a_run_survives_the_kill_of_the_site_without_repeating_output(site, lode, tmp_path):
    go = gate(lode, tmp_path)
    running = lode.start("run", "--data", "t:gate=gate", "--", "sh", "-c", COUNTER)
    first = running.stdout.readline() + running.stdout.readline()
    site.kill()
    site.start()
    go.write_text("now")
    # Not communicate(), which forgets what readline() has read ahead.
    rest, stderr = running.stdout.read(), running.stderr.read()
    assert running.wait(60) == 0, stderr
    assert is_whole(first + rest), first + rest


def test_ctrl_c_leaves_the_job_running_and_one_can_come_back(site, lode, tmp_path):
    go = gate(lode, tmp_path)
    running = lode.start("run", "--data", "t:gate=gate", "--", "sh", "-c", COUNTER + "; exit 3")
    assert running.stdout.readline() == "0\n"
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    job = newest(lode)
    assert lode.json("job", "show", job)["state"] == "running"
    following = lode.start("logs", "-f", job)
    assert following.stdout.readline() == "0\n"
    go.write_text("now")
    rest = following.stdout.read()
    assert following.wait(60) == 0 and is_whole("0\n" + rest)
    lode("wait", job, status=3)
    assert is_whole(lode("logs", job).stdout)


def test_many_tasks_show_a_bar_on_a_terminal_and_none_in_a_pipe(site, lode):
    words = ["run", "--cache", "off", "--count", "12", "--", "sleep", "0.1"]
    said, status = lode.on_terminal(*words)
    assert status == 0
    assert "\u2588" in said and " / 12" in said and "12 of 12 tasks succeeded" in said
    assert said.rstrip().split("\r")[-1].strip("\x1b[K\n ").startswith("lode: job")
    plain = lode(*words)
    assert plain.stdout == "" and "%" not in plain.stderr and "\r" not in plain.stderr


def test_a_hit_says_from_where(site, lode):
    first = lode("run", "--", "echo", "once")
    job = newest(lode)
    again = lode("run", "--", "echo", "once")
    assert first.stderr == "" and again.stdout == "once\n"
    assert f"from the cache: first run as job {job} on 20" in again.stderr


def test_a_reader_that_leaves_ends_the_command_and_not_the_job(site, lode):
    command = f"{PROGRAMS}/lode run -- seq 1 2000000 | head -1"
    done = subprocess.run(["/bin/bash", "-c", command], env=lode.environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n"
    lode("wait", newest(lode))


def test_tokens_are_made_listed_used_and_revoked(site, lode, make_lode):
    token = lode("token", "create", "alice", "--label", "a laptop").stdout
    alice = make_lode("alice")
    said = alice("login", site.url, "--pin", site.fingerprint, "--token", "-", input=token).stdout
    assert "as alice (user)" in said
    assert alice("run", "--", "echo", "hello").stdout == "hello\n"
    listed = [each for each in lode.json("token", "list")["tokens"] if each["principal"] == "alice"]
    assert len(listed) == 1 and token.strip() not in str(listed)
    assert "lode" in alice("token", "create", "bob", status=1).stderr
    lode("token", "revoke", str(listed[0]["token_id"]))
    assert alice("jobs", status=1).stdout == ""


def test_outputs_come_back_as_they_were(site, lode):
    said = lode("run", "--count", "2", "--output", "out/*.bin", "--fetch", "got", "--", "sh", "-c", "mkdir out; seq {index} 100000 > out/x.bin").stderr
    assert "2 of 2 tasks succeeded" in said and "2 files in got" in said and "lode outputs" not in said
    for index in range(2):
        wanted = "".join(f"{i}\n" for i in range(index, 100001))
        assert (lode.home / "got" / str(index) / "out" / "x.bin").read_text() == wanted


def test_a_failed_run_that_fetches_says_why_it_failed(site, lode):
    failing = ["sh", "-c", "echo {index} > x.txt; exit {index}"]
    said = lode("run", "--count", "2", "--output", "*.txt", "--fetch", "got", "--", *failing, status=1).stderr
    assert "1 failed" in said and "lode why" in said and "2 files in got" in said, said


def test_why_shows_the_last_line_of_what_failed(site, lode, make_lode):
    script = r"echo out; printf 'first\n\033[31mValueError:\033[0m no \a{index}\n\n' >&2; exit {index}"
    lode("run", "--count", "3", "--", "sh", "-c", script, status=1)
    job = newest(lode)
    for what, line in ((job, "ValueError: no  1"), (f"{job}/2", "ValueError: no  2")):
        assert f"its last line on standard error: {line}\n" in lode("why", what).stdout
        assert lode.json("why", what)["stderr_line"] == line
    assert lode.json("why", f"{job}/0")["stderr_line"] is None  # It has not failed.
    # Of a long one it is at the end of a blob.
    lode("run", "--", "sh", "-c", "seq 1 100000 >&2; exit 1", status=1)
    assert "standard error: 100000\n" in lode("why", newest(lode)).stdout
    # Others may ask why, and do not read what it printed.
    token = lode("token", "create", "alice").stdout
    alice = make_lode("alice")
    alice("login", site.url, "--pin", site.fingerprint, "--token", "-", input=token)
    assert alice.json("why", job)["stderr_line"] is None and "it failed" in alice("why", job).stdout


def test_a_job_without_outputs_says_so(site, lode):
    lode("run", "--", "true")
    assert "has kept no files" in lode("outputs", newest(lode), "got").stderr
    assert "has kept no files" in lode("outputs", newest(lode)).stderr
    assert lode.json("outputs", newest(lode)) ["outputs"] == []


def test_a_run_whose_outputs_match_nothing_says_so(site, lode):
    said = lode("run", "--output", "*.nc", "--", "true").stderr
    assert "no file matched --output" in said and "fetches its output files" not in said
    said = lode("run", "--output", "*.nc", "--", "touch", "a.nc").stderr
    assert "fetches its output files" in said and "no file matched" not in said


@pytest.mark.parametrize(
    "words, says, fix",
    [
        ("run --after 9999 -- true", "names job 9999", "--help says which values"),
        ("run --priority 1000 -- true", "priority", "--help says which values"),
        ("token revoke 99", "no valid token 99", "lode token list"),
        ("group create physics", "already", "lode group list"),
        ("group remove physics nobodyhere", "is not a member", "lode group list"),
        ("job show 1/99", "has no task 99", "its tasks are 1/0 to 1/1"),
        ("logs 1/99", "has no task 99", "its tasks are 1/0 to 1/1"),
        ("retry 1", "no failed or cancelled tasks", "nothing to run again"),
        ("pool stop", "no machine was named", "name them, such as"),
    ],
)
def test_the_way_out_fits_what_was_asked(site, lode, words, says, fix):
    lode("run", "--count", "2", "--", "true")
    lode("group", "create", "physics")
    said = lode(*words.split(), status=None)
    assert said.returncode != 0 and says in said.stderr and fix in said.stderr, said.stderr
    assert "openapi" not in said.stderr and "lode jobs" not in said.stderr and "lode pool start" not in said.stderr


def test_a_worker_with_a_users_token_is_told_which_it_needs(site, lode, tmp_path):
    (tmp_path / "token").write_text(lode("token", "create", "ada").stdout)
    said = lode("worker", "--site", site.url, "--pin", site.fingerprint, "--token-file", tmp_path / "token", "--directory", tmp_path / "w", status=1)
    assert "may not take tasks as a worker" in said.stderr and "lode token create --role worker" in said.stderr


def test_a_worker_without_a_site_is_awaited_and_why_says_so(make_site, lode):
    make_site(options=("--workers", "0"))
    job = lode("submit", "--", "true").stdout.strip()
    assert "worker" in lode("why", job).stdout
    waiting = lode.start("wait", job)
    lode("cancel", job)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 143
