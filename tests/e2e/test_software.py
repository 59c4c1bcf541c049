"""Jobs that bring their own software: bundles and images of containers, with another libc and another Python than the machine's."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from conftest import PROGRAMS, Lode, Site, eventually, kill_all
from software import archive, make_probe, musl_root, next_debian_root, pypy_root, run
from test_faults import mounted

USER = 12346  # No account has this number.
COUNT_WORDS = "cat /data/text/words | sort | uniq -c | sort -rn | head -n 2; echo {index}"


@pytest.fixture(scope="module")
def trees():
    """Folders with trees of software, made once: musl and pypy."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-trees-"))
    folder.chmod(0o755)
    musl_root(folder / "musl")
    pypy_root(folder / "pypy")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def podman(tmp_path, lode):
    """podman with a store and a state of its own, for tests and for the program."""
    storage, engine = tmp_path / "storage.conf", tmp_path / "containers.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/store"\nrunroot = "{tmp_path}/run"\n')
    engine.write_text(f'[engine]\nruntime = "runc"\ntmp_dir = "{tmp_path}/state"\n')
    lode.environment.update(CONTAINERS_STORAGE_CONF=str(storage), CONTAINERS_CONF=str(engine))
    yield lambda *words: run("podman", *words, env=lode.environment)
    run("podman", "rm", "--all", "--force", env=lode.environment)  # A container that has ended keeps its mounts.


def printed_by(podman, container):
    podman("wait", container)  # And not `logs --follow`: it waits for ever for one that ended as it began.
    return podman("logs", container)


def record_of(site, job):
    return site.api("GET", f"/v1/jobs/{job}/tasks/0").json


def last_job(lode):
    return max(job["id"] for job in lode.json("jobs")["jobs"])


def words_of(lode, tmp_path):
    text = tmp_path / "text"
    text.mkdir()
    (text / "words").write_text("ore\nvein\nore\nmine\nore\nvein\n")
    lode("data", "add", "t:text", text)


def test_the_same_job_runs_with_the_machines_software_a_bundle_and_an_image(site, lode, trees, podman, tmp_path):
    words_of(lode, tmp_path)
    podman("import", "--change", "ENV=VEIN=deep", tarball(trees / "musl", tmp_path), "localhost/lode-musl:1")
    command = ["--data", "t:text=text", "--count", "3", "--", "sh", "-c", COUNT_WORDS]
    ways = {"host": [], "bundle": ["--bundle", trees / "musl"], "oci": ["--image", "localhost/lode-musl:1"]}
    printed = {}
    for kind, options in ways.items():
        done = lode.json("run", *options, *command)
        assert done[-1]["state"] == "succeeded", done
        job = done[-1]["id"]
        printed[kind] = [site.api("GET", f"/v1/jobs/{job}/tasks/{i}/stdout").body.split() for i in range(3)]
        software = [each for each in record_of(site, job)["inputs"] if each["kind"] in ("bundle", "oci")]
        assert [each["kind"] for each in software] == ([] if kind == "host" else [kind]), software
    assert printed["host"] == printed["bundle"] == printed["oci"]
    assert printed["host"][1] == [b"3", b"ore", b"2", b"vein", b"1"]
    # What podman itself makes of the image, and the image's variables.
    inside = ["libc-name"]
    limits = ["--ulimit=nofile=1024:4096", "--ulimit=nproc=1000:1000"]
    podman("run", "--detach", "--name", "lode-musl", "--network=none", *limits, "localhost/lode-musl:1", *inside)
    by_podman = printed_by(podman, "lode-musl").stdout
    by_lode = lode("run", "--image", "localhost/lode-musl:1", "--", *inside).stdout
    assert by_podman == by_lode == "musl\n"
    assert lode("run", "--image", "localhost/lode-musl:1", "--", "sh", "-c", "echo $VEIN").stdout == "deep\n"


def tarball(tree, tmp_path):
    path = tmp_path / "root.tar"
    run("tar", "-C", tree, "-cf", path, ".")
    return path


def test_another_libc_than_the_machines(site, lode, trees, tmp_path):
    probe = make_probe(tmp_path / "libc-name", "gcc")
    assert lode("run", "--file", probe, "--", "./libc-name").stdout == "glibc\n"
    assert lode("run", "--bundle", trees / "musl", "--", "libc-name").stdout == "musl\n"
    # The machine's program cannot run there: nothing of the machine's libraries is in sight. The runner could.
    done = lode("run", "--bundle", trees / "musl", "--file", probe, "--", "./libc-name", status=None)
    assert done.returncode not in (0, 125), done
    listing = lode("run", "--bundle", trees / "musl", "--", "ls", "/", "/lib").stdout
    assert "x86_64-linux-gnu" not in listing and "lib64" not in listing


def test_another_python_than_the_machines(site, lode, trees):
    script = ("import hashlib, json, platform, sys; n = int(sys.argv[1]);"
              "print(platform.python_implementation(), sys.version_info[:2], hashlib.sha256(json.dumps("
              "[x * x for x in range(n)]).encode()).hexdigest())")
    host = lode("run", "--", "python3", "-c", script, "1000").stdout.split()
    bundle = lode("run", "--bundle", trees / "pypy", "--", "python3", "-c", script, "1000").stdout.split()
    assert host[0] == "CPython" and bundle[0] == "PyPy", (host, bundle)
    assert host[1:3] != bundle[1:3] and host[3] == bundle[3]


def test_one_container_with_another_libc_and_another_python(lode, site, podman, tmp_path):
    """Of the next Debian: what it computes, and with which C library, is what podman makes of the image."""
    try:
        tree = next_debian_root(tmp_path / "root", tmp_path / "packages")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the packages of the next Debian cannot be had: {error.stderr.strip()[-300:]}")
    podman("import", tarball(tree, tmp_path), "localhost/lode-next:1")
    script = ("import hashlib, os, platform, sys; print(os.confstr('CS_GNU_LIBC_VERSION'), sys.version_info[:2],"
              "hashlib.sha256(b''.join(str(x * x).encode() for x in range(1000))).hexdigest())")
    host = lode("run", "--", "python3", "-c", script).stdout.split()
    image = lode("run", "--image", "localhost/lode-next:1", "--", "python3", "-c", script).stdout.split()
    limits = ["--ulimit=nofile=1024:4096", "--ulimit=nproc=1000:1000"]
    podman("run", "--detach", "--name", "lode-next", "--network=none", *limits, "localhost/lode-next:1", "python3", "-c", script)
    assert printed_by(podman, "lode-next").stdout.split() == image
    assert host[0] == image[0] == "glibc" and host[1] != image[1], (host, image)
    assert host[2:4] != image[2:4] and host[4] == image[4], (host, image)


def test_the_sandbox_is_as_shut_as_ever(site, lode, trees):
    done = lode("run", "--bundle", trees / "musl", "--", "sh", "-c",
        "id -u; grep CapEff /proc/self/status; wc -l < /proc/net/dev; "
        "for f in / /bin /run /data /etc /lib; do touch $f/x 2>&1; done | wc -l; touch /tmp/x /work/x /dev/shm/x && echo can; echo $HOME $TMPDIR")
    lines = done.stdout.split("\n")
    assert lines[0] == "1000" and lines[1].split()[1].strip("0") == "", lines
    assert lines[2:6] == ["3", "6", "can", "/work /tmp"], lines


def test_what_is_no_root_lies_at_opt_bundle(site, lode, tmp_path):
    tool = tmp_path / "kit" / "bin" / "sort"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho sorted by the bundle; exec /usr/bin/sort \"$@\"\n")
    tool.chmod(0o755)
    done = lode.json("run", "--bundle", tmp_path / "kit", "--", "sort", "/dev/null")
    job = done[-1]["id"]
    assert site.api("GET", f"/v1/jobs/{job}/tasks/0/stdout").body == b"sorted by the bundle\n"
    record = record_of(site, job)
    assert record["executable"] == "/opt/bundle/bin/sort"
    assert record["executable_digest"] == "sha256:" + run("sha256sum", tool).stdout.split()[0]


def test_the_same_tree_is_one_blob_and_one_result(site, lode, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "tool").write_text("#!/bin/sh\necho first\n")
        (tmp_path / name / "bin" / "tool").chmod(0o755)
    os.utime(tmp_path / "two" / "bin" / "tool", (1, 1))
    assert "from the cache" not in lode("run", "--bundle", tmp_path / "one", "--", "tool").stderr
    again = lode("run", "--bundle", tmp_path / "two", "--", "tool")
    assert again.stdout == "first\n" and "from the cache" in again.stderr
    software = lode.json("job", "show", str(last_job(lode)))["spec"]["software"]
    assert software["name"] == "two"
    by_digest = lode("run", "--bundle", software["blob"], "--", "tool")
    assert by_digest.stdout == "first\n" and "from the cache" in by_digest.stderr
    (tmp_path / "two" / "bin" / "tool").write_text("#!/bin/sh\necho second\n")
    other = lode("run", "--bundle", tmp_path / "two", "--", "tool")
    assert other.stdout == "second\n" and "from the cache" not in other.stderr


def test_programs_of_a_root_are_the_bundles(site, lode, trees):
    assert lode("run", "--bundle", trees / "musl", "--", "sh", "-c", "libc-name").stdout == "musl\n"
    again = lode("run", "--bundle", trees / "musl", "--", "sh", "-c", "libc-name")
    assert again.stdout == "musl\n" and "from the cache" in again.stderr
    record = record_of(site, last_job(lode))
    assert record["executable"] == "bundle:/bin/sh"
    assert record["executable_digest"] == "sha256:" + run("sha256sum", "/bin/busybox").stdout.split()[0]
    # The machine's sh is another one, so the job without the bundle has another result.
    assert "from the cache" not in lode("run", "--", "sh", "-c", "libc-name", status=None).stderr


@pytest.mark.parametrize("compression", ["zstd", "xz"])
def test_a_compressed_archive_is_a_bundle(site, lode, trees, tmp_path, compression):
    path = tmp_path / "musl.tar"
    run("tar", "-C", trees / "musl", "-c", "-f", path, f"--{compression}", ".")
    assert lode("run", "--bundle", path, "--", "libc-name").stdout == "musl\n"


@pytest.mark.parametrize("what, words", [
    ([("../../escaped", b"x")], 'with ".."'),
    ([("/tmp/escaped", b"x")], "absolute path"),
    ([("usr/null", ("device",))], "is a device"),
    (None, "cannot be read"),
])
def test_a_hostile_archive_is_refused_and_said_to_be_so(site, lode, tmp_path, what, words):
    path = tmp_path / "bad.tar"
    if what is None:
        path.write_text("no archive at all\n" * 100)
    else:
        archive(path, ("bin/sh", b"x"), *what)
    # In a job, and beforehand.
    done = lode("run", "--bundle", path, "--", "true", status=None)
    assert done.returncode != 0 and words in done.stderr, done
    job = last_job(lode)
    assert record_of(site, job)["outcome"] == "input", record_of(site, job)
    before = lode("unpack", path, tmp_path / "out", status=4)
    assert words in before.stderr
    assert not (tmp_path / "escaped").exists() and not pathlib.Path("/tmp/escaped").exists()
    # The worker goes on.
    assert lode("run", "--", "echo", "well").stdout == "well\n"


def test_a_link_that_leads_out_leads_nowhere_outside(site, lode, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    path = archive(tmp_path / "links.tar", ("bin", None), ("bin/out", ("link", str(outside))), ("usr", None),
        ("usr/up", ("link", "../../..")), ("usr/up/taken", b"x"))
    assert json.loads(lode("unpack", path, tmp_path / "tree", "--json").stdout) == json.loads((tmp_path / "tree" / "software.json").read_text())
    assert (tmp_path / "tree" / "root" / "taken").read_text() == "x"
    assert list(outside.iterdir()) == []


def test_what_is_unpacked_is_kept_over_a_restart(site, lode, trees):
    assert lode("run", "--bundle", trees / "musl", "--", "libc-name").stdout == "musl\n"
    assert site.log.count("event=software-ready") == 1
    site.stop()
    site.start()
    eventually(lambda: site.api("GET", "/v1/status").json["workers"] == 1)
    assert lode("run", "--cache", "off", "--bundle", trees / "musl", "--", "libc-name").stdout == "musl\n"
    assert site.log.count("event=software-ready") == 1


def test_what_was_used_longest_ago_goes_when_the_disk_is_short(make_site, lode, tmp_path):
    with mounted(lode.data / "worker" / "software", "40m"):
        site = make_site()
        for i in range(5):  # 8 MiB each, and as much for the archive while it is unpacked.
            tree = tmp_path / f"tree-{i}"
            (tree / "bin").mkdir(parents=True)
            (tree / "bin" / "number").write_text(f"#!/bin/sh\necho {i}\n")
            (tree / "bin" / "number").chmod(0o755)
            (tree / "ballast").write_bytes(os.urandom(8 << 20))
            assert lode("run", "--bundle", tree, "--", "number").stdout == f"{i}\n"
        assert site.log.count("event=software-removed") >= 2
        # What does not fit at all is a failure with the reason, not a wait for ever.
        (tree / "ballast").write_bytes(os.urandom(30 << 20))
        done = lode("run", "--bundle", tree, "--", "number", status=None)
        assert done.returncode != 0 and ("space" in done.stderr or "more bytes" in done.stderr), done
        site.stop()


def test_who_has_no_sandbox_gives_no_software(make_site, lode, trees):
    site = make_site(options=("--sandbox", "none", "--workers", "1"))
    eventually(lambda: site.api("GET", "/v1/status").json["software"] == ["host"])
    assert "Software:     host" in lode("status").stdout
    job = lode("submit", "--bundle", trees / "musl", "--", "libc-name").stdout.strip()
    why = lode("why", job).stdout
    assert "its own software (bundle)" in why and "start a worker with a sandbox" in why, why
    # It holds up nothing else.
    assert lode("run", "--", "echo", "well").stdout == "well\n"
    lode("cancel", job)


def test_workers_say_what_they_give(site, lode):
    eventually(lambda: site.api("GET", "/v1/status").json["software"] == ["host", "bundle", "oci"])
    assert "host, bundle, oci" in lode("status").stdout
    assert lode.json("workers")["workers"][0]["software"] == ["host", "bundle", "oci"]


def test_an_unknown_blob_is_refused_with_the_way_out(site, lode):
    digest = "sha256:" + 64 * "0"
    answer = site.api("POST", "/v1/jobs", {"command": ["true"], "software": {"kind": "bundle", "blob": digest}})
    assert answer.code == 404 and "not here" in answer.json["detail"] and "PUT" in answer.json["fix"], answer
    done = lode("run", "--bundle", "a", "--image", "b", "--", "true", status=2)
    assert "two kinds of software" in done.stderr
    gone = lode("run", "--bundle", "nowhere", "--", "true", status=None)
    assert gone.returncode == 125 and "nowhere" in gone.stderr


def test_software_travels_with_the_job(federation, trees):
    hub = federation.hub("hub", "--join", "open")
    there = federation.site("there", workers=1)
    home = federation.site("home")
    for member in (there, home):
        member.add_hub(hub)
    there.add_data("t:far", text="far\n")
    eventually(lambda: home("resolve", "t:far", "--anew", status=None).returncode == 0, about="the other site is known")
    done = home("run", "--data", "t:far=far", "--bundle", trees / "musl", "--", "sh", "-c", "cat /data/far/*; libc-name")
    assert done.stdout == "far\nmusl\n" and "runs at there" in done.stderr, done


@pytest.fixture
def ordinary():
    """A site of an ordinary user, who has podman without root."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; the other tests run as an ordinary user already")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-ordinary-"))
    (folder / "programs" / "runner").mkdir(parents=True)
    shutil.copy(PROGRAMS / "lode", folder / "programs")
    shutil.copy(PROGRAMS / "runner" / "lode-runner", folder / "programs" / "runner")
    user = Lode(folder, folder / "home")
    (folder / "run").mkdir(mode=0o700)
    user.environment["XDG_RUNTIME_DIR"] = str(folder / "run")
    user.environment["PATH"] = f"{folder}/programs:/usr/sbin:/usr/bin:/sbin:/bin"
    subprocess.run(["chown", "-R", f"{USER}:{USER}", folder], check=True)
    become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    site = Site(user, user.data)
    with open(folder / "log", "wb") as log:
        site.process = subprocess.Popen(
            [*become, folder / "programs" / "lode", "site", "--address", "127.0.0.1:0", "--directory", site.directory],
            env=user.environment, stdout=log, stderr=log)
    site.as_user = lambda *words: run(*become, *words, env=user.environment, cwd=user.home)
    try:
        eventually((site.directory / "site.json").exists, 20, "the start of the site")
        yield site
    finally:
        site.process.terminate()
        site.process.wait(60)
        kill_all(folder)
        shutil.rmtree(folder)


def test_an_ordinary_user_runs_an_image_that_podman_has(ordinary, trees):
    tar = tarball(trees / "musl", ordinary.user.folder)
    tar.chmod(0o644)
    conf = ordinary.user.home / ".config" / "containers"
    conf.mkdir(parents=True)
    (conf / "storage.conf").write_text('[storage]\ndriver = "vfs"\n')
    subprocess.run(["chown", "-R", f"{USER}:{USER}", ordinary.user.home / ".config"], check=True)
    ordinary.as_user("podman", "import", tar, "localhost/lode-ordinary:1")
    done = ordinary.as_user("lode", "run", "--image", "localhost/lode-ordinary:1", "--", "libc-name")
    assert done.stdout == "musl\n"
