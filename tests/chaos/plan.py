"""Which fault comes when, to whom and for how long: a pure function of the seed, the time and the number of workers.

    plan = make_plan(seed=7, seconds=180, workers=5)
    print("".join(f"{fault}\\n" for fault in plan))

Only `Random.random()` is used of the generator, whose sequence Python promises to keep for a seed; so the same seed gives the same plan anywhere.
Kinds come out of a bag that holds each as often as its `share`, and is filled anew when it is empty: a short plan has every kind, too. A fault that would
come to a victim that already has one of the same `lane` (a process that is dead cannot be stopped) is left out; those of different lanes overlap.
"""

import dataclasses
import math
import random

GAP_SECONDS = 1.0  # Between two faults, in the mean;
GAP_PART = 0.05  # of a short plan this part of its time, so that it has some of each kind.
QUIET_PART = 0.04  # Of the time, at the beginning: something is to run already.
LAST_PART = 0.92  # By then the last fault has begun.
LONGEST_PART = 0.1  # Of the time: no fault of a short plan takes longer, or little would be left of it.
LONGEST_AT_LEAST = 2.0


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of fault. `victim` is "site" or "worker", `seconds` the shortest and the longest time that it takes."""

    share: int
    victim: str
    lane: str
    seconds: tuple
    about: str


# A lease is 5 s: what takes up to 9 s is sometimes missed and sometimes not.
KINDS = {
    "kill-worker": Kind(3, "worker", "process", (0.1, 3), "SIGKILL; the time is until it is started again"),
    "stop-worker": Kind(2, "worker", "process", (0.5, 9), "SIGSTOP, then SIGCONT"),
    "kill-runner": Kind(3, "worker", "", (0, 0), "SIGKILL of one lode-runner of the worker"),
    "stop-runner": Kind(1, "worker", "runner", (0.5, 4), "SIGSTOP of one lode-runner, then SIGCONT"),
    "kill-site": Kind(2, "site", "process", (0.1, 3), "SIGKILL; started again over the same directory"),
    "stop-site": Kind(1, "site", "process", (0.5, 6), "SIGSTOP, then SIGCONT"),
    "cut": Kind(2, "worker", "network", (0.5, 9), "nothing gets from the worker to the site, nor back"),
    "cut-to-site": Kind(1, "worker", "network", (0.5, 9), "what the worker sends is lost, what is sent to it arrives"),
    "cut-to-worker": Kind(1, "worker", "network", (0.5, 9), "what is sent to the worker is lost, what it sends arrives"),
    "full-site": Kind(1, "site", "disk", (0.5, 4), "the disk of the site's directory is full"),
    "full-worker": Kind(2, "worker", "disk", (0.5, 4), "the disk of the worker's directory is full"),
    "clock-site": Kind(1, "site", "clock", (1, 10), "the site's clock of the day jumps, and back"),
    "clock-worker": Kind(1, "worker", "clock", (1, 10), "the worker's clock of the day jumps, and back"),
}
CLOCK_EXPONENT_MAX = 5.0  # Clocks jump by 1 to 100,000 s (a good day), forward or back.


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault. `worker` is its number (None: of the site); `jump_seconds` of a clock; `pick`, in [0, 1), says which runner."""

    number: int
    at_ms: int
    kind: str
    worker: int | None
    for_ms: int
    jump_seconds: int = 0
    pick: float = 0.0

    @property
    def victim(self):
        return "site" if self.worker is None else f"worker-{self.worker}"

    def __str__(self):
        more = f" by {self.jump_seconds:+d} s" if self.jump_seconds else f" pick {self.pick:.3f}" if self.pick else ""
        return f"{self.at_ms / 1000:8.3f} s  {self.number:3d}  {self.kind:13s} {self.victim:9s} for {self.for_ms / 1000:6.3f} s{more}"


def _draw(dice, bag):
    """Takes one kind out of the bag."""
    if not bag:
        bag.extend(name for name, kind in KINDS.items() for _ in range(kind.share))
    return bag.pop(int(dice.random() * len(bag)))


def _jump(dice):
    """Seconds by which a clock jumps: small and large ones are equally likely."""
    size = int(10 ** (dice.random() * CLOCK_EXPONENT_MAX))
    return size if dice.random() < 0.5 else -size


def make_plan(seed, seconds, workers):
    """The faults in order of time."""
    dice = random.Random(f"chaos {seed}")
    longest = max(LONGEST_AT_LEAST, seconds * LONGEST_PART)
    plan, bag, busy_until = [], [], {}
    at = seconds * QUIET_PART
    while True:
        at -= min(GAP_SECONDS, seconds * GAP_PART) * math.log(1 - dice.random())
        if at > seconds * LAST_PART:
            return plan
        name = _draw(dice, bag)
        kind = KINDS[name]
        # Drawn for each fault, whether they are used or not: what one fault is like changes nothing of the next ones.
        which, share, jump, pick = int(dice.random() * workers) + 1, dice.random(), _jump(dice), dice.random()
        worker = which if kind.victim == "worker" else None
        shortest, most = kind.seconds
        for_seconds = shortest + (min(most, longest) - shortest) * share if most else 0.0
        lane = (worker, kind.lane)
        if kind.lane and busy_until.get(lane, 0) > at:
            continue
        busy_until[lane] = at + for_seconds
        plan.append(Fault(len(plan) + 1, int(at * 1000), name, worker, int(for_seconds * 1000),
                          jump if kind.lane == "clock" else 0, pick if name.endswith("runner") else 0.0))
