"""How each fault is done to its victim and undone: FAULTS[kind](cluster, fault) does it and returns what undoes it (None: nothing is to be undone).

A fault that meets nobody, as when a worker that is to lose a runner has none, raises Missed with the reason.
"""

import os
import signal


class Missed(Exception):
    """There was nothing to hit."""


def _alive(program):
    if program.process.poll() is not None or not program.is_wanted:
        raise Missed("it was not running")
    return program


def kill(cluster, fault):
    program = _alive(cluster.victim(fault))
    program.kill()
    return program.launch


def stop(cluster, fault):
    program = _alive(cluster.victim(fault))
    program.signal(signal.SIGSTOP)
    return lambda: program.signal(signal.SIGCONT)


def _runner(cluster, fault):
    runners = cluster.victim(fault).runners()
    if not runners:
        raise Missed("it had no runner")
    return runners[int(fault.pick * len(runners))]


def _signal_runner(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError as error:
        raise Missed("the runner had ended") from error


def kill_runner(cluster, fault):
    _signal_runner(_runner(cluster, fault), signal.SIGKILL)


def stop_runner(cluster, fault):
    pid = _runner(cluster, fault)
    _signal_runner(pid, signal.SIGSTOP)

    def resume():
        try:
            _signal_runner(pid, signal.SIGCONT)
        except Missed:
            pass  # Its worker was killed meanwhile.

    return resume


def _cut(cluster, ways):
    for sender, receiver in ways:
        cluster.network.cut_one_way(sender, receiver)

    def mend():
        for sender, receiver in ways:
            cluster.network.mend_one_way(sender, receiver)

    return mend


def _ends(cluster, fault):
    return cluster.victim(fault).machine.node, cluster.site.machine.node


def cut(cluster, fault):
    worker, site = _ends(cluster, fault)
    return _cut(cluster, [(worker, site), (site, worker)])


def cut_to_site(cluster, fault):
    worker, site = _ends(cluster, fault)
    return _cut(cluster, [(worker, site)])


def cut_to_worker(cluster, fault):
    worker, site = _ends(cluster, fault)
    return _cut(cluster, [(site, worker)])


def fill(cluster, fault):
    disk = cluster.victim(fault).machine.disk
    disk.fill()
    return disk.free


def jump(cluster, fault):
    clock = cluster.victim(fault).machine.clock
    clock.set(fault.jump_seconds)
    return lambda: clock.set(0)


FAULTS = {
    "kill-worker": kill, "kill-site": kill, "stop-worker": stop, "stop-site": stop, "kill-runner": kill_runner, "stop-runner": stop_runner,
    "cut": cut, "cut-to-site": cut_to_site, "cut-to-worker": cut_to_worker, "full-site": fill, "full-worker": fill,
    "clock-site": jump, "clock-worker": jump,
}
