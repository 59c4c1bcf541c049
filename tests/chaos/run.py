"""One chaos run: a job under the faults of a plan, and what came of it."""

import collections
import contextlib
import hashlib
import heapq
import http.client
import itertools
import json
import re
import threading
import time

import verdict
import work
from cluster import Cluster
from conftest import eventually
from faults import FAULTS, Missed
from plan import KINDS, make_plan

BUSY_PART = 0.6  # Of the time of all slots the tasks are to fill by sleeping: the faults meet a job that still runs.
LOOK_SECONDS = 0.05  # Between two looks at programs that may have ended.
WATCH_SECONDS = 0.25
REST_SECONDS_MAX = 60
FULL_SECONDS = 5  # An answer may come so long after what it is about.
MESSAGES_MAX = 12
SLIP_SAID_SECONDS = 1
END_SECONDS_MIN = 240  # How long after the last fault the job may take, for a busy machine,
END_FACTOR = 4  # ... or this many times the time of the faults.


class Failed(Exception):
    """The run cannot go on."""


class Watch:
    """Asks the site for the job all the time, from a thread of its own: what was acknowledged is never fewer later."""

    def __init__(self, site, job):
        self.path = f"/v1/jobs/{job}"
        self.site = site
        self.token = site.token
        self.shown = None
        self.wrong = []
        self.answers = self.silences = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        connection = None
        while not self._is_over.wait(WATCH_SECONDS):
            try:
                connection = connection or self.site.connect(5)
                connection.request("GET", self.path, headers={"Authorization": f"Bearer {self.token}"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 507 and self.may_be_full():
                    self.silences += 1  # It says so, and what to do.
                    continue
                if answer.status != 200:
                    self.wrong.append(f"GET {self.path} was answered {answer.status}: {body[:300]!r}")
                    continue
                self._take(json.loads(body))
            except (OSError, http.client.HTTPException):
                self.silences += 1
                if connection:
                    connection.close()
                connection = None

    def may_be_full(self):
        """Is the site's disk full, or was it when it began to answer?"""
        disk = self.site.machine.disk
        return bool(disk and (disk.is_full or time.monotonic() - disk.freed_at < FULL_SECONDS))

    def _take(self, shown):
        self.answers += 1
        if self.shown and shown["tasks"]["succeeded"] < self.shown["tasks"]["succeeded"]:
            self.wrong.append(f"{self.shown['tasks']['succeeded']} tasks had succeeded, and later {shown['tasks']['succeeded']}")
        self.shown = shown

    @property
    def has_ended(self):
        return bool(self.shown and self.shown["state"] in ("succeeded", "failed", "cancelled", "held"))

    def stop(self):
        self._is_over.set()
        self._thread.join(30)


class Run:
    """`lines` gets what is said. All files are below `folder`."""

    def __init__(self, options, folder, say):
        self.options = options
        self.folder = folder
        self.plan = make_plan(options.seed, options.seconds, options.workers)
        self.says = say
        self.began = None
        self.job_seconds = 0.0
        self.hits = []  # The faults that hit;
        self.misses = collections.Counter()  # by kind those that met nobody,
        self.skipped = collections.Counter()  # ... could not be had here,
        self.late = 0  # ... and came after the job's end.
        self.slip_seconds = 0.0  # By which the faults come later than planned.
        self.wrong = []

    def note(self, text):
        at = time.monotonic() - self.began if self.began else 0
        self.says(f"{at:8.3f}  {text}")

    def perform(self):
        """Returns what is wrong, as sentences."""
        cluster = Cluster(self.folder, self.options.workers, self.options.slots, self.options.tasks, self.note)
        watch = None
        try:
            for lane, reason in cluster.missing.items():
                self.says(f"SKIPPED: all faults of the lane \"{lane}\": {reason}")
            cluster.start()
            job = self.submit(cluster)
            self.began = time.monotonic()
            watch = Watch(cluster.site, job)
            self.do_plan(cluster, watch)
            self.await_end(cluster, watch)
            self.wrong += verdict.some(watch.wrong)
            self.judge(cluster, job)
        finally:
            if watch:
                watch.stop()
            cluster.close()
        return self.wrong

    def submit(self, cluster):
        site = cluster.site
        eventually(lambda: len(site.call("GET", "/v1/workers").json["workers"]) == self.options.workers, 60, "the workers")
        script = work.SCRIPT.encode()
        digest = f"sha256:{hashlib.sha256(script).hexdigest()}"
        answer = site.call("PUT", f"/v1/blobs/{digest}", script)
        if answer.code not in (200, 201):
            raise Failed(f"the script was not taken: {answer}")
        slots = self.options.workers * self.options.slots
        nap = BUSY_PART * self.options.seconds * slots / self.options.tasks
        answer = site.call("POST", "/v1/jobs", work.document(self.options.seed, self.options.tasks, nap * work.NAP_EACH / sum(work.NAPS.values()), digest))
        if answer.code != 201:
            raise Failed(f"the job was not taken: {answer}")
        return answer.json["id"]

    def do_plan(self, cluster, watch):
        """Does each fault at its time, and undoes it at its own. When this machine is too busy for that, all that follows comes later by as much: the order stays."""
        order = itertools.count()
        due = [(fault.at_ms / 1000, next(order), fault, None) for fault in self.plan]
        heapq.heapify(due)
        while due:
            at, _, fault, undo = heapq.heappop(due)
            self.wait_until(cluster, self.began + self.slip_seconds + at)
            self.slip_seconds = max(self.slip_seconds, time.monotonic() - self.began - at)
            if undo:
                undo()
                self.note(f"{fault.number:3d} {fault.kind} of {fault.victim} is over")
                continue
            undo = self.do(cluster, fault, watch)
            if undo:
                heapq.heappush(due, ((fault.at_ms + fault.for_ms) / 1000, next(order), fault, undo))

    def do(self, cluster, fault, watch):
        lane = KINDS[fault.kind].lane
        if lane in cluster.missing:
            self.skipped[fault.kind] += 1
            return None
        try:
            undo = FAULTS[fault.kind](cluster, fault)
        except Missed as reason:
            self.misses[fault.kind] += 1
            self.note(f"{fault.number:3d} {fault.kind} of {fault.victim} met nobody: {reason}")
            return None
        self.hits.append(fault)
        self.late += watch.has_ended
        self.note(f"{fault.number:3d} {fault.kind} of {fault.victim} for {fault.for_ms / 1000:.3f} s" + (f", {fault.jump_seconds:+d} s" if fault.jump_seconds else ""))
        return undo

    def wait_until(self, cluster, until):
        while True:
            cluster.tend()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, LOOK_SECONDS))

    def await_end(self, cluster, watch):
        """The faults are over: the job must come to its end by itself."""
        self.note(f"the faults are over; {self.counts(watch)}")
        deadline = time.monotonic() + max(END_SECONDS_MIN, END_FACTOR * self.options.seconds)
        while not watch.has_ended:
            self.wait_until(cluster, time.monotonic() + LOOK_SECONDS)
            if time.monotonic() > deadline:
                raise Failed(f"the job did not end; {self.counts(watch)}; it waits for this: {self.why(cluster, watch)}")
        self.job_seconds = time.monotonic() - self.began
        self.note(f"the job has ended; {self.counts(watch)}")
        watch.stop()

    @staticmethod
    def counts(watch):
        if not watch.shown:
            return "the site never answered"
        return f"{watch.shown['state']}, " + ", ".join(f"{count} {name}" for name, count in watch.shown["tasks"].items() if count)

    @staticmethod
    def why(cluster, watch):
        with contextlib.suppress(OSError):
            return cluster.site.call("GET", f"{watch.path}/why").body.decode()
        return "the site does not answer"

    def judge(self, cluster, job):
        """All looks at what came of it; then everything is stopped, and the database looked at."""
        site, seed, tasks = cluster.site, self.options.seed, self.options.tasks
        self.wrong += verdict.look_at_job(site, job, tasks)
        self.wrong += verdict.look_at_stdout(site, job, seed, tasks)
        self.wrong += verdict.look_at_outputs(site, job, seed, tasks)
        failures = site.json(f"/v1/jobs/{job}")["failures"]
        self.look_at_rest(cluster)
        self.wrong += [crash for program in (site, *cluster.workers.values()) for crash in program.crashes]
        self.wrong += cluster.stop()
        wrong, attempts = verdict.look_at_database(site.directory / "lode.db", job, seed, tasks, failures)
        self.wrong += verdict.look_at_blobs(site.directory / "blobs", seed, tasks)
        self.wrong += wrong + verdict.explain([row[2:] for row in attempts], self.hits, self.options.slots)
        self.says("attempts that came to nothing: " + (", ".join(f"{count} {cause}" for cause, count in failures.items() if count) or "none"))
        for message, count in collections.Counter(in_general(row[4]) for row in attempts).most_common(MESSAGES_MAX):
            self.says(f"    {count:5d} times: {message}")

    def look_at_rest(self, cluster):
        """All workers are there and idle, no runner is left of the job, and `lode status` says so."""
        site = cluster.site

        def at_rest():
            # A worker may have registered several times; the site gives up the silent former ones after a while.
            newest = {worker["name"]: worker for worker in sorted(site.json("/v1/workers")["workers"], key=lambda worker: worker["id"])}
            runners = [pid for worker in cluster.workers.values() for pid in worker.runners()]
            is_quiet = len(newest) == len(cluster.workers) and all(worker["state"] == "idle" for worker in newest.values()) and not runners
            return is_quiet or (time.monotonic() > deadline and [(worker["name"], worker["state"]) for worker in newest.values()] + runners)

        deadline = time.monotonic() + REST_SECONDS_MAX
        seen = eventually(at_rest, REST_SECONDS_MAX + 30, "rest")
        if seen is not True:
            self.wrong.append(f"the workers did not come to rest in {REST_SECONDS_MAX} s: {seen}")
        site.machine.user("login", "--directory", site.directory)
        status = site.machine.user.json("status", "--site", site.site.url)
        if status["tasks"] != {"running": 0, "waiting": 0} or status["workers"] < len(cluster.workers) or status["jobs"]["succeeded"] != 1:
            self.wrong.append(f"lode status is not that of a site at rest: {status}")

    def summary(self):
        """What the run was, in some lines."""
        hits = collections.Counter(fault.kind for fault in self.hits)
        yield f"{len(self.hits)} faults hit: " + ", ".join(f"{count} {kind}" for kind, count in sorted(hits.items()))
        if self.misses:
            yield f"{sum(self.misses.values())} faults met nobody: " + ", ".join(f"{count} {kind}" for kind, count in sorted(self.misses.items()))
        if self.skipped:
            yield f"SKIPPED: {sum(self.skipped.values())} faults that this machine does not allow: " + ", ".join(sorted(self.skipped))
        if self.slip_seconds > SLIP_SAID_SECONDS:
            yield f"the machine was busy: the last faults came {self.slip_seconds:.1f} s later than planned"
        if self.late:
            yield f"{self.late} of the faults came after the end of the job"


def in_general(message):
    """The message without what differs from one attempt to the next, to count them by."""
    words = re.sub(r'worker \d+ "[^"]*"', "a worker", re.sub(r"for at most [\d.]+ s", "for some seconds", message))
    return words.split(";")[0][:150] or "(no message)"
