"""What the checks share: the C files of the repository, and their text without comments and strings."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Comments, string and character literals; what is kept of them is their line breaks.
_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def c_files(*suffixes, below=""):
    """The .c and .h files that git knows or would add, as paths relative to the root."""
    patterns = [f"*{suffix}" for suffix in suffixes or (".c", ".h")]
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = sorted(name for name in set(listed.split("\0")) if name.startswith(below) and name)
    return [pathlib.Path(name) for name in names if (ROOT / name).exists()]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def code_of(text):
    """The text with comments and literals blanked, lines kept in place."""

    def blank(match):
        kept = '""' if match.group()[0] == '"' else "0" if match.group()[0] == "'" else " "
        return kept + "\n" * match.group().count("\n")

    return _NOISE.sub(blank, text)
