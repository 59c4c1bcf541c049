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
  server {{ listen 127.0.0.1:{port} ssl; root {folder}/root; }}
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


def measure_transfer(rounds=7):
    """MiB a second for a download of 1 GiB, against nginx; and how much an upload makes the site grow."""
    ours, peers, ours_cpu, peers_cpu, uploads = [], [], [], [], []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lode-bench-nginx-"))
    with site(workers=0) as here:
        key_folder = next(p.parent for p in here.directory.rglob("certificate.pem"))
        (folder / "root").mkdir()
        folder.chmod(0o755)
        source = folder / "root" / "large"
        with open("/dev/urandom", "rb") as random, open(source, "wb") as out:
            block = random.read(1 << 20)
            for i in range(SIZE_MIB):
                out.write(i.to_bytes(8, "big") + block[8:])
        digest = "sha256:" + subprocess.run(["sha256sum", source], capture_output=True, text=True, check=True).stdout.split()[0]
        bearer = "Authorization: Bearer " + here.token
        url = f"{here.where['url']}/v1/blobs/{digest}"
        before = here.resident_mib()
        seconds, _ = timed(lambda: curl(url, "-H", bearer, "-T", str(source)))
        growth = here.resident_mib() - before
        uploads.append(SIZE_MIB / seconds)
        port = free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, site=key_folder, port=port))
        nginx = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder])
        try:
            peer_url = f"https://127.0.0.1:{port}/large"
            here.await_that(lambda: subprocess.run(["/usr/bin/curl", "-ksS", "-r", "0-1", "-o", "/dev/null", peer_url],
                                                   stderr=subprocess.DEVNULL, check=False).returncode == 0)
            for i in range(rounds):
                # In turn, and each first as often as second: what else the machine does hits both alike.
                turns = [(ours, ours_cpu, here.process.pid, lambda: curl(url, "-H", bearer)),
                         (peers, peers_cpu, nginx.pid, lambda: curl(peer_url))]
                for rates, cpu, pid, transfer in turns if i % 2 == 0 else reversed(turns):
                    before = processor_seconds(pid)
                    rates.append(SIZE_MIB / timed(transfer)[0])
                    cpu.append(processor_seconds(pid) - before)
        finally:
            nginx.terminate()
            nginx.wait()
            shutil.rmtree(folder, ignore_errors=True)
    yield line("transfer", "per_second", statistics.median(ours), "floor_per_second", statistics.median(peers),
               [a / b for a, b in zip(ours, peers)], floor="nginx, same key, TLS 1.3, same file and client", unit="MiB",
               target=0.9, cpu_seconds=round(statistics.median(ours_cpu), 2),
               floor_cpu_seconds=round(statistics.median(peers_cpu), 2), upload_mib_per_second=round(statistics.median(uploads), 1), upload_growth_mib=round(growth, 1))
