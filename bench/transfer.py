"""Downloads and uploads of a large blob, against nginx with the same key, the same TLS and the same client."""

import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile

from measure import line, site, timed

SIZE_MIB = 1024
NGINX = """
worker_processes 2; pid {folder}/pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {folder}/body; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  ssl_certificate {site}/certificate.pem; ssl_certificate_key {site}/key.pem; ssl_protocols TLSv1.3;
  server {{ listen {address}:{port} ssl; root {folder}/root; }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processor_seconds(pid):
    """What the process and its children, such as they are now, have used."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for each in [str(pid), *children]:
        fields = pathlib.Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def curl(url, *options):
    """One transfer by curl over TLS 1.3; the body goes to /dev/null."""
    subprocess.run(["/usr/bin/curl", "-sS", "-k", "--fail", "--tlsv1.3", "-o", "/dev/null", *options, url], check=True)


def rate(url, *options):
    return SIZE_MIB / timed(lambda: curl(url, *options))[0]


def make_source(path):
    """A file of SIZE_MIB that no two blocks of are alike; its digest."""
    with open("/dev/urandom", "rb") as random, open(path, "wb") as out:
        block = random.read(1 << 20)
        for i in range(SIZE_MIB):
            out.write(i.to_bytes(8, "big") + block[8:])
    return "sha256:" + subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def in_turn(rounds, sources):
    """Rates and processor seconds of each of `sources` (URL, process, options); each comes first as often as the others: what else the machine does hits all alike."""
    rates, cpu = [[] for _ in sources], [[] for _ in sources]
    for i in range(rounds):
        for at in [(i + k) % len(sources) for k in range(len(sources))]:
            url, pid, *options = sources[at]
            before = processor_seconds(pid)
            rates[at].append(rate(url, *options))
            cpu[at].append(processor_seconds(pid) - before)
    return rates, cpu


def measure_transfer(rounds=7):
    """MiB a second for a download of 1 GiB, of a blob and of a dataset's file, against nginx; and how much an upload makes the site grow."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-bench-nginx-"))
    with site(workers=0) as here:
        key_folder = next(p.parent for p in here.directory.rglob("certificate.pem"))
        (folder / "root").mkdir()
        folder.chmod(0o755)
        source = folder / "root" / "large"
        digest = make_source(source)
        bearer = ["-H", "Authorization: Bearer " + here.token]
        blob = f"{here.where['url']}/v1/blobs/{digest}"
        before = here.resident_mib()
        upload = rate(blob, *bearer, "-T", str(source))
        growth = here.resident_mib() - before
        here.connection.close()  # The site has closed what was idle for so long; the next request connects anew.
        here.post("/v1/datasets", {"id": "bench:large", "paths": [str(source)]})
        file = f"{here.where['url']}/v1/datasets/bench%3Alarge/content/large"
        here.await_that(lambda: here.get("/v1/datasets/bench%3Alarge")["state"] != "registering")
        port = free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, site=key_folder, address="127.0.0.1", port=port))
        nginx = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder])
        try:
            peer = f"https://127.0.0.1:{port}/large"
            here.await_that(lambda: subprocess.run(["/usr/bin/curl", "-ksS", "-r", "0-1", "-o", "/dev/null", peer],
                                                   stderr=subprocess.DEVNULL, check=False).returncode == 0)
            site_pid = here.process.pid
            rates, cpu = in_turn(rounds, [(blob, site_pid, *bearer), (file, site_pid, *bearer), (peer, nginx.pid)])
        finally:
            nginx.terminate()
            nginx.wait()
            shutil.rmtree(folder, ignore_errors=True)
    for what, at in ("blob", 0), ("file", 1):
        more = {"upload_mib_per_second": round(upload, 1), "upload_growth_mib": round(growth, 1)} if what == "blob" else {}
        yield line("transfer", "per_second", statistics.median(rates[at]), "floor_per_second", statistics.median(rates[2]),
                   [a / b for a, b in zip(rates[at], rates[2])], floor="nginx, same key, TLS 1.3, same file and client", unit="MiB",
                   what=what, target=0.9, cpu_seconds=round(statistics.median(cpu[at]), 2),
                   floor_cpu_seconds=round(statistics.median(cpu[2]), 2), **more)
