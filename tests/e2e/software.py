"""Trees of software for tests, made of Debian packages that the check needs: another libc, another Python."""

import io
import pathlib
import shutil
import subprocess
import tarfile

PROBE = r"""
#include <stdio.h>
int main(void)
{
#ifdef __GLIBC__
    puts("glibc");
#else
    puts("musl");
#endif
    return 0;
}
"""
NEXT_DEBIAN = "trixie"
NEXT_DEBIAN_PACKAGES = ("busybox-static_", "libc6_", "libexpat1_", "libpython3", "python3", "zlib1g_")
TOOLS = ("sh", "cat", "echo", "ls", "sort", "uniq", "cksum", "env", "id", "sleep", "touch", "head", "grep", "wc")


def run(*words, **options):
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True, **options)


def make_probe(path, compiler):
    """A small dynamic program that prints the name of the C library that it was built for, and runs with."""
    source = path.parent / f"{path.name}.c"
    source.write_text(PROBE)
    run(compiler, "-o", path, source)
    source.unlink()
    return path


def musl_root(root):
    """A root of a file system whose C library is musl: busybox (static), musl's loader, a program that needs it. Nothing in it is the machine's."""
    (root / "bin").mkdir(parents=True)
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "lib").mkdir()
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for name in TOOLS:
        (root / "bin" / name).symlink_to("busybox")
    loader = pathlib.Path(next(pathlib.Path("/lib").glob("ld-musl-*.so.1")))
    shutil.copy(loader.resolve(), root / "lib" / loader.name)
    make_probe(root / "usr" / "bin" / "libc-name", "musl-gcc")
    return root


def pypy_root(root):
    """A root of a file system whose Python is PyPy (3.9), with copies of the libraries that it needs."""
    program = pathlib.Path("/usr/bin/pypy3").resolve()
    for line in run("ldd", program).stdout.splitlines():
        for word in line.split():
            if word.startswith("/"):
                copy = root / pathlib.Path(word).relative_to("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(pathlib.Path(word).resolve(), copy)
    (root / "usr" / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / "usr" / "bin" / program.name)
    (root / "usr" / "bin" / "python3").symlink_to(program.name)
    shutil.copytree("/usr/lib/pypy3.9", root / "usr" / "lib" / "pypy3.9", symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "test", "idlelib", "lib2to3", "ensurepip"))
    return root


def debian_mirror():
    """Where the machine takes Debian's packages from, by either form of its sources."""
    apt = pathlib.Path("/etc/apt")
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    words = [word for path in files if path.is_file() for line in path.read_text().splitlines()
             if line.startswith(("deb ", "URIs:")) for word in line.split()]
    return next(word for word in words if "://" in word and word.rstrip("/").endswith("/debian"))


def next_debian_root(root, scratch):
    """A root of a file system with the C library and the Python of the Debian after the machine's, from its packages. CalledProcessError: not to be had."""
    (scratch / "lists" / "partial").mkdir(parents=True)
    (scratch / "archives" / "partial").mkdir(parents=True)
    (scratch / "status").touch()
    mirror = debian_mirror()
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (scratch / "sources.list").write_text(f"deb [signed-by={key}] {mirror} {NEXT_DEBIAN} main\n")
    settings = {
        "Dir::Etc::SourceList": scratch / "sources.list", "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": scratch / "lists",
        "Dir::State::Status": scratch / "status", "Dir::Cache": scratch, "APT::Sandbox::User": "root", "Acquire::Languages": "none",
        "Acquire::http::Timeout": "20", "APT::Update::Error-Mode": "any",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", *options, "-q", "update")
    run("apt-get", *options, "-q", "-y", "--no-install-recommends", "--download-only", "install", "python3-minimal", "libpython3-stdlib",
        "busybox-static")
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted((scratch / "archives").glob("*.deb")):
        if package.name.startswith(NEXT_DEBIAN_PACKAGES):
            run("dpkg-deb", "--extract", package, root)
    shutil.rmtree(root / "usr" / "share")
    (root / "usr" / "bin" / "sh").symlink_to("busybox")
    return root


def archive(path, *entries):
    """A tar archive of (name, content or None for a folder, or ("link", target), or ("device",))."""
    with tarfile.open(path, "w") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, tuple) and content[0] == "link":
                info.type, info.linkname = tarfile.SYMTYPE, content[1]
            elif isinstance(content, tuple):
                info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
            else:
                info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path
