"""The home side of `lode link`, scripted: it places jobs, leases them, takes results and blobs, and can be told to die."""

import collections
import hashlib
import json
import threading
import time

from scripted_site import ScriptedSite

WORKER_TOKEN = "lode_" + "w" * 43


class ScriptedHome(ScriptedSite):
    """`place(site)` makes a place known; `submit(site, spec, ...)` a job for it. `results[job][index]` is what was reported."""

    def __init__(self, folder):
        super().__init__(folder)
        self.lock = threading.Condition()
        self.places = {}  # fingerprint -> {"place", "name", "url", "jobs"}
        self.version = 1
        self.jobs = {}
        self.workers = {}  # number -> its hello
        self.told = collections.defaultdict(set)  # worker -> jobs
        self.leases = {}  # number -> [worker, job, from, to]
        self.waiting = []  # (place, job, from, to) that nobody has
        self.cancels = collections.defaultdict(list)
        self.drops = collections.defaultdict(list)
        self.results = collections.defaultdict(dict)
        self.reports = collections.Counter()  # (job, index) -> how often it was reported
        self.pieces = collections.defaultdict(list)
        self.setups = collections.defaultdict(list)
        self.logs = collections.defaultdict(list)
        self.problems = []  # As told by each poll.
        self.changes = []
        self.blobs = {}
        self.next_number = 100
        self.refuses = None  # (code, detail) for the next poll with results.
        self.on("GET", r"/v1/places(\?.*)?", self.get_places)
        self.on("POST", r"/v1/workers", self.register)
        self.on("POST", r"/v1/workers/(\d+)/poll", self.poll)
        self.on("PUT", r"/v1/blobs/(.+)", self.put_blob)
        self.on("GET", r"/v1/blobs/(.+)", self.get_blob)
        self.on("HEAD", r"/v1/blobs/(.+)", self.get_blob)

    def prepare(self, folder):
        """What a link is started with: site.json and the token."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "site.json").write_text(json.dumps({"url": self.url, "fingerprint": self.fingerprint, "name": "home"}))
        (folder / "worker.token").write_text(WORKER_TOKEN + "\n")

    def number(self):
        self.next_number += 1
        return self.next_number

    def place(self, fingerprint, url, name="there"):
        with self.lock:
            self.places[fingerprint] = {"place": fingerprint, "name": name, "url": url, "jobs": 1}
            self.version += 1
            self.lock.notify_all()

    def put(self, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest

    def submit(self, fingerprint, spec, owner="alice", count=1, parts=None):
        """A job for the place; `parts` are the ranges that are leased, at first all of it."""
        with self.lock:
            job = self.number()
            self.jobs[job] = {"job": job, "owner": owner, "spec": {"mode": "command", "retries": 0, **spec}}
            for first, to in parts or [(0, count)]:
                self.waiting.append((fingerprint, job, first, to))
            self.lock.notify_all()
            return job

    def lease_again(self, fingerprint, job, first, to):
        with self.lock:
            self.waiting.append((fingerprint, job, first, to))
            self.lock.notify_all()

    def cancel(self, job):
        with self.lock:
            for number, (worker, of_job, _, _) in list(self.leases.items()):
                if of_job == job:
                    self.cancels[worker].append(number)
                    self.drops[worker].append(job)
                    del self.leases[number]
            self.lock.notify_all()

    def forget_workers(self):
        """As after a restart: workers are unknown, what they hold they will say."""
        with self.lock:
            self.workers.clear()
            self.told.clear()
            self.lock.notify_all()

    def lose_workers(self):
        """Their process has ended: what they held waits again, but for what they had reported."""
        with self.lock:
            for worker, job, first, to in self.leases.values():
                place = self.workers.get(worker, {}).get("place")
                done = self.results[job]
                start = None
                for index in [*range(first, to), None]:
                    if index is not None and index not in done:
                        start = index if start is None else start
                    elif start is not None:
                        self.waiting.append((place, job, start, to if index is None else index))
                        start = None
            self.leases.clear()
            self.workers.clear()
            self.told.clear()

    def is_worker(self, request):
        return request.headers.get("Authorization") == f"Bearer {WORKER_TOKEN}"

    def get_places(self, request):
        wanted = int(request.path.rsplit("version=", 1)[1]) if "version=" in request.path else None
        with self.lock:
            self.lock.wait_for(lambda: wanted != self.version, 5)
            return 200, {"places": list(self.places.values()), "version": self.version}

    def register(self, request):
        if not self.is_worker(request):
            return 401, {"detail": "who are you?"}
        with self.lock:
            number = self.number()
            self.workers[number] = json.loads(request.body)
            return 201, {"worker": number, "lease_seconds": 30, "wait_seconds": 5}

    def take_results(self, body):
        for result in body.get("results", []):
            for task in result.get("tasks", []):
                for stream in task[7:9]:
                    assert not isinstance(stream, dict) or stream["blob"] in self.blobs
                for output in task[9] or []:
                    assert output[1] in self.blobs
                self.results[result["job"]][task[0]] = task
                self.reports[result["job"], task[0]] += 1
            if "stream" in result:
                piece = result["stream"]
                assert piece["answers"] in self.blobs
                lines = self.blobs[piece["answers"]].decode().splitlines()
                assert len(lines) == piece["to"] - piece["from"]
                self.pieces[result["job"]].append(piece)
                for index, line in zip(range(piece["from"], piece["to"]), lines):
                    self.results[result["job"]][index] = line
                    self.reports[result["job"], index] += 1

    def give(self, worker):
        place = self.workers[worker]["place"]
        answer = {"leases": [], "jobs": [], "cancel": self.cancels.pop(worker, []), "drop_jobs": self.drops.pop(worker, []), "drain": False}
        for part in [part for part in self.waiting if part[0] == place]:
            self.waiting.remove(part)
            _, job, first, to = part
            number = self.number()
            self.leases[number] = (worker, job, first, to)
            answer["leases"].append([number, job, first, to])
            if job not in self.told[worker]:
                self.told[worker].add(job)
                answer["jobs"].append(self.jobs[job])
        return answer

    def poll(self, request):
        worker = int(request.match.group(1))
        body = json.loads(request.body)
        with self.lock:
            if worker not in self.workers:
                return 404, {"detail": f"there is no worker {worker}"}
            if body.get("results") and self.refuses:
                (code, detail), self.refuses = self.refuses, None
                return code, {"detail": detail}
            self.take_results(body)
            for setup in body.get("setups", []):
                self.setups[setup["job"]].append(setup)
            for log in body.get("logs", []):
                self.logs[log[0]].append(log)
            problem = body.get("problem") or {"text": "", "change": ""}
            self.problems.append(problem["text"])
            self.changes.append(problem["change"])
            self.lock.notify_all()
            deadline = time.monotonic() + body.get("wait_seconds", 0)
            while True:
                if worker not in self.workers:
                    return 404, {"detail": f"there is no worker {worker}"}
                answer = self.give(worker)
                left = deadline - time.monotonic()
                if left <= 0 or answer["leases"] or answer["cancel"] or answer["drop_jobs"]:
                    return 200, answer
                self.lock.wait(left)

    def put_blob(self, request):
        digest = request.match.group(1)
        if "sha256:" + hashlib.sha256(request.body).hexdigest() != digest:
            return 422, {"detail": "other bytes"}
        self.blobs[digest] = request.body
        return 201, {"digest": digest}

    def get_blob(self, request):
        content = self.blobs.get(request.match.group(1))
        return (200, content) if content is not None else (404, {"detail": "no such blob"})
