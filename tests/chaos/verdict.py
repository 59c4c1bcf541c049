"""What must hold at the end of a chaos run. Each look returns what is wrong, as sentences; an empty list: all is well.

The answers of the API and the rows of the database are looked at apart: neither is believed for the other.
"""

import collections
import hashlib
import itertools
import json
import sqlite3

import work

INLINE_MAX = 16384  # Longer stdout is a blob.
FETCHED_EACH, FETCHED_AT = 100, 13  # Of the outputs the bytes are fetched over the network, too.
SHOWN_MAX = 10  # Of the same kind of fault so many are said.
OUTCOME_EXITED, OUTCOME_WORKER, OUTCOME_LOST = 0, 6, 8  # docs/protocols/worker.md; 8 is the site's own.
# Which faults may cost attempts that ended so (outcome, words of the message): of the worker itself, or of the site, which loses workers while it is away
# or deaf. `each`: how many attempts one such fault may cost at most, in slots of the worker.
EXPLANATIONS = (
    (OUTCOME_WORKER, "the sandbox was killed from outside", {"kill-runner"}, set(), "one"),
    (OUTCOME_WORKER, "disk was full", {"full-worker"}, set(), "many"),
    (OUTCOME_WORKER, "No space left on device", {"full-worker"}, set(), "many"),
    (OUTCOME_LOST, "was lost while it ran", {"kill-worker", "stop-worker", "cut", "cut-to-site", "cut-to-worker"}, {"kill-site", "stop-site", "full-site"}, "slots"),
)


def some(wrong):
    """The first of many sentences."""
    return wrong[:SHOWN_MAX] + ([f"... and {len(wrong) - SHOWN_MAX} more like that"] if len(wrong) > SHOWN_MAX else [])


def events_of(site, job):
    """All `task` events of a job that has ended, from the first one."""
    connection = site.connect()
    try:
        connection.request("GET", f"/v1/jobs/{job}/events", headers={"Authorization": f"Bearer {site.token}"})
        answer = connection.getresponse()
        kind = None
        for line in answer:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                kind = value
            elif field == "data" and kind == "task":
                yield json.loads(value)
            elif field == "data" and kind == "end":
                return
    finally:
        connection.close()


def pages(site, path, name):
    """All members of a list, page by page."""
    cursor = None
    while True:
        page = site.json(f"{path}?limit=1000" + (f"&cursor={cursor}" if cursor else ""))
        yield from page[name]
        cursor = page["next"]
        if not cursor:
            return


def look_at_job(site, job, tasks):
    """The job and the list of its tasks, by the API."""
    wrong = []
    shown = site.json(f"/v1/jobs/{job}")
    counts = shown["tasks"]
    if shown["state"] != "succeeded" or counts["succeeded"] != tasks or counts["running"] or counts["waiting"] or counts["held"] or counts["failed"]:
        wrong.append(f"the job is {shown['state']} with {counts}: {shown['message']}")
    times = collections.Counter(task["index"] for task in pages(site, f"/v1/jobs/{job}/tasks", "tasks") if task["state"] == "succeeded" and task["exit_code"] == 0)
    return wrong + once_each(times, tasks, "in the list of tasks")


def once_each(times, tasks, where):
    """times: how often each index is there."""
    return some([f"task {index} is {times[index]} times {where}" for index in range(tasks) if times[index] != 1]) + some(
        [f"there is a task {index} {where}" for index in times if not 0 <= index < tasks])


def look_at_stdout(site, job, seed, tasks):
    """What the tasks wrote, by the events of the job; long output is fetched."""
    wrong, times = [], collections.Counter()
    for event in events_of(site, job):
        index = event["index"]
        times[index] += 1
        written = event["stdout"].encode() if event["stdout"] is not None else site.read(f"/v1/jobs/{job}/tasks/{index}/stdout")
        if written != work.stdout_of(seed, index):
            wrong.append(f"task {index} has another stdout than it must have: {len(written)} bytes, {written[:100]!r}")
        if event["stderr"] != "":
            wrong.append(f"task {index} has a stderr: {event['stderr']!r}")
    return once_each(times, tasks, "among the events") + some(wrong)


def look_at_outputs(site, job, seed, tasks):
    """The files that the tasks left: the list with their digests, and the bytes of some."""
    expected = work.outputs_of(seed, tasks)
    wrong = []
    times = collections.Counter()
    for output in pages(site, f"/v1/jobs/{job}/outputs", "outputs"):
        key = output["index"], output["path"]
        times[key] += 1
        if key not in expected:
            wrong.append(f"there is an output {key}")
        elif output["digest"] != f"sha256:{hashlib.sha256(expected[key]).hexdigest()}" or output["size_bytes"] != len(expected[key]):
            wrong.append(f"the output {key} has another content than it must have")
        elif key[0] % FETCHED_EACH == FETCHED_AT and site.read(f"/v1/blobs/{output['digest']}") != expected[key]:
            wrong.append(f"the output {key} is answered with other bytes than it has")
    wrong += [f"the output {key} is there {times[key]} times" for key in expected if times[key] != 1]
    return some(wrong)


def explain(failed, hits, slots):
    """Every attempt that came to nothing was cost by a fault. `failed`: (worker's name, outcome, message) of each; `hits`: the faults that hit."""
    of = collections.Counter((fault.victim, fault.kind) for fault in hits)
    wrong, used = [], collections.Counter()
    for worker, outcome, message in failed:
        fitting = [at for at, (its, words, *_) in enumerate(EXPLANATIONS) if its == outcome and words in message]
        if not fitting:
            wrong.append(f"nothing explains an attempt on {worker} with outcome {outcome}: {message}")
        else:
            used[worker, fitting[0]] += 1
    for (worker, at), count in sorted(used.items()):
        _, words, own, sites, each = EXPLANATIONS[at]
        faults = sum(of[worker, kind] for kind in own) + sum(of["site", kind] for kind in sites)
        most = {"one": faults, "slots": faults * slots, "many": count if faults else 0}[each]
        if count > most:
            wrong.append(f"{count} attempts on {worker} ended with \"{words}\", where {faults} faults explain {most}")
    return some(wrong)


def look_at_blobs(folder, seed, tasks):
    """The site's files of all outputs, and of all stdouts that are too long for the database."""
    long = (content for content in (work.stdout_of(seed, index) for index in range(tasks)) if len(content) > INLINE_MAX)
    wrong = []
    for content in itertools.chain(work.outputs_of(seed, tasks).values(), long):
        digest = hashlib.sha256(content).hexdigest()
        path = folder / digest[:2] / digest[2:]
        if not path.exists():
            wrong.append(f"the blob {digest} is not there, which begins with {content[:100]!r}")
        elif path.read_bytes() != content:
            wrong.append(f"the blob {digest} has other bytes than it must have")
    return some(wrong)


def look_at_database(path, job, seed, tasks, failures):
    """The rows, once the site has ended: one result for each task, numbered without a gap, with the content that it must have."""
    wrong = []
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (state,) = database.execute("PRAGMA integrity_check").fetchone()
        if state != "ok":
            wrong.append(f"the database is damaged: {state}")
        rows = database.execute("SELECT idx, seq, outcome, code, attempts, stdout, stdout_size, stdout_digest, outputs FROM tasks WHERE job = ?", (job,)).fetchall()
        failed = database.execute(
            "SELECT a.idx, a.attempt, w.name, a.outcome, a.message FROM attempts a LEFT JOIN workers w ON w.id = a.worker WHERE a.job = ?", (job,)).fetchall()
    finally:
        database.close()
    wrong += once_each(collections.Counter(row[0] for row in rows), tasks, "among the rows of tasks")
    if sorted(row[1] for row in rows) != list(range(1, len(rows) + 1)) and sorted(row[1] for row in rows) != list(range(len(rows))):
        wrong.append("the results are not numbered one after another")
    bad = []
    for index, _, outcome, code, _, stdout, size, digest, _ in rows:
        must = work.stdout_of(seed, index)
        is_right = bytes(stdout) == must if stdout is not None else bytes(digest or b"") == hashlib.sha256(must).digest()
        if outcome != OUTCOME_EXITED or code != 0 or size != len(must) or not is_right:
            bad.append(f"the row of task {index} is wrong: outcome {outcome}, code {code}, {size} bytes of stdout")
    wrong += some(bad)
    wrong += look_at_rows_of_attempts(rows, failed, failures)
    return wrong, failed


def look_at_rows_of_attempts(rows, failed, failures):
    """The attempts that came to nothing have a row each, with a worker, and are as many as the job says."""
    wrong = []
    ended = sum(1 for row in rows if row[2] != OUTCOME_EXITED or row[3] != 0)  # The last attempt of a failed task has its row in tasks.
    if len(failed) + ended != sum(failures.values()):
        wrong.append(f"there are rows of {len(failed) + ended} attempts that came to nothing, but the job counts {sum(failures.values())}")
    wrong += some([f"attempt {attempt} of task {index} has no worker" for index, attempt, worker, *_ in failed if not worker])
    of_task = collections.Counter(row[0] for row in failed)
    wrong += some([
        f"task {index} is said to have had {attempts} attempts, but {of_task[index]} came to nothing"
        for index, _, _, _, attempts, *_ in rows if attempts not in (of_task[index], of_task[index] + 1)])
    return wrong
