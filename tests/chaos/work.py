"""The job of a chaos run: what a task does, and what must come of it. Each task's content follows from the seed and its index alone."""

import hashlib

OUTPUT_EACH = 10  # Of so many tasks one leaves a file,
LONG_EACH = 50  # ... and one writes so much that its output travels as a blob.
LONG_LINES = 400
RETRIES_MAX = 100
MEMORY_BYTES = 64 << 20
DISK_BYTES = 1 << 20
NAPS = {0: 6, 4: 2}  # By index modulo NAP_EACH: how many times the mean nap a task sleeps; the others do not.
NAP_EACH = 8

SCRIPT = f"""
set -e
digest=$(printf '%s %s' "$CHAOS_SEED" "$LODE_INDEX" | sha256sum)
digest=${{digest%% *}}
case $((LODE_INDEX % {NAP_EACH})) in
0) sleep "$CHAOS_LONG_NAP" ;;
4) sleep "$CHAOS_SHORT_NAP" ;;
esac
[ $((LODE_INDEX % {OUTPUT_EACH})) -ne 3 ] || printf '%s of %s\\n' "$digest" "$LODE_INDEX" > "result-$LODE_INDEX.txt"
printf '%s\\n' "$digest"
[ $((LODE_INDEX % {LONG_EACH})) -ne 7 ] || {{
    i=0
    while [ $i -lt {LONG_LINES} ]; do
        printf '%s %s\\n' "$i" "$digest"
        i=$((i + 1))
    done
}}
"""


def document(seed, tasks, mean_nap_seconds, script_blob):
    """The job as it is submitted. It may lose as many workers as it likes; nothing of it may fail by itself."""
    return {
        "name": f"chaos-{seed}", "command": ["sh", "task.sh"], "count": tasks, "cache": "off", "outputs": ["*.txt"],
        "files": [{"name": "task.sh", "blob": script_blob, "executable": False}],
        "environment": {
            "CHAOS_SEED": str(seed), "CHAOS_LONG_NAP": f"{NAPS[0] * mean_nap_seconds:.3f}",
            "CHAOS_SHORT_NAP": f"{NAPS[4] * mean_nap_seconds:.3f}",
        },
        "memory_bytes": MEMORY_BYTES, "disk_bytes": DISK_BYTES, "walltime_seconds": 600,
        "retries": {"fail": 0, "limit": 0, "input": 0, "lost": RETRIES_MAX, "worker": RETRIES_MAX},
    }


def _digest(seed, index):
    return hashlib.sha256(f"{seed} {index}".encode()).hexdigest()


def stdout_of(seed, index):
    """What the task must have written."""
    digest = _digest(seed, index)
    lines = [digest]
    if index % LONG_EACH == 7:
        lines += [f"{i} {digest}" for i in range(LONG_LINES)]
    return ("\n".join(lines) + "\n").encode()


def outputs_of(seed, tasks):
    """All files that the job must have left: {(index, path): bytes}."""
    return {
        (index, f"result-{index}.txt"): f"{_digest(seed, index)} of {index}\n".encode()
        for index in range(tasks) if index % OUTPUT_EACH == 3
    }
