"""Downloads and uploads of a large blob, against nginx with the same key, the same TLS and the same client."""

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


def curl(url, *options):
    """One transfer by curl over TLS 1.3; the body goes to /dev/null."""
    subprocess.run(["/usr/bin/curl", "-sS", "-k", "--fail", "--tlsv1.3", "-o", "/dev/null", *options, url], check=True)


def measure_transfer(rounds=5):
    """MiB a second for a download of 1 GiB, against nginx; and how much an upload makes the site grow."""
    ours, peers, uploads = [], [], []
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
            for _ in range(rounds):
                ours.append(SIZE_MIB / timed(lambda: curl(url, "-H", bearer))[0])
                peers.append(SIZE_MIB / timed(lambda: curl(peer_url))[0])
        finally:
            nginx.terminate()
            nginx.wait()
            shutil.rmtree(folder, ignore_errors=True)
    yield line("transfer", "per_second", statistics.median(ours), "floor_per_second", statistics.median(peers),
               [a / b for a, b in zip(ours, peers)], floor="nginx, same key, TLS 1.3, same file and client", unit="MiB",
               target=0.9, upload_mib_per_second=round(statistics.median(uploads), 1), upload_growth_mib=round(growth, 1))
