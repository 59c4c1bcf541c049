#!/usr/bin/python3
"""What connected idle workers cost a site: CPU time and memory. Each is one TLS connection whose poll waits as long as the site allows.

    bench/idle_workers.py [--workers 2000] [--seconds 60] [--programs build/programs]

Each shows a key of its own, and says where it would serve others, as `lode worker` does; with --token all show one token. With --busy each holds a lease of a task that does not end, and says
so as often as the site asks for.
"""

import argparse
import asyncio
import datetime
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import time
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

ROOT = pathlib.Path(__file__).resolve().parents[1]


async def call(reader, writer, head, path, body):
    text = json.dumps(body).encode()
    writer.write(f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
    await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return json.loads(await reader.readexactly(length))


def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def with_own_key(name, folder):
    """What a worker shows: a key, and the certificate that it has made with it."""
    private = ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.utcnow()
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1)).sign(private, None))
    path = pathlib.Path(folder) / "worker.pem"
    key = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key)
    context = trusting()
    context.load_cert_chain(path)
    return context


async def worker(number, site, context, busy, state):
    reader, writer = await asyncio.open_connection(site["host"], site["port"], ssl=context)
    shown = f"Authorization: Bearer {site['token']}\r\n" if site["token"] else ""
    head = f"Host: site\r\n{shown}Content-Type: application/json\r\n"
    hello = {"name": f"idle-{number}", "cpus": 1, "memory_bytes": 4 << 30, "disk_bytes": 100 << 30,
             "serve": {"url": f"https://192.168.100.100:{30000 + number}", "fingerprint": f"sha256:{number:064x}", "reach": "network"}}
    said = await call(reader, writer, head, "/v1/workers", hello)
    state["connected"] += 1
    leases = []
    while True:
        wait = 0 if busy else said["wait_seconds"]
        answer = await call(reader, writer, head, f"/v1/workers/{said['worker']}/poll", {"wait_seconds": wait, "leases": leases})
        state["polls"] += 1
        leases += [list(lease) for lease in answer["leases"]]
        if busy:
            await asyncio.sleep(said["heartbeat_seconds"])


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    line = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def measure(options, site, pid, folder):
    shared = trusting()
    state = {"connected": 0, "polls": 0}
    before = resident_bytes(pid)
    tasks = []
    for number in range(options.workers):
        context = shared if options.token else with_own_key(f"idle-{number}", folder)
        tasks.append(asyncio.create_task(worker(number, site, context, options.busy, state)))
        if number % 50 == 49:
            await asyncio.sleep(0.2)  # No storm of handshakes.
    while state["connected"] < options.workers:
        failed = [task for task in tasks if task.done()]
        if failed:
            failed[0].result()
        await asyncio.sleep(0.1)
    await asyncio.sleep(5)  # What was due after the last connection.
    polls, used, began = state["polls"], cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(options.seconds)
    seconds = time.monotonic() - began
    failed = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    return {
        "workers": options.workers, "busy": options.busy, "shows": "token" if options.token else "key", "polls_per_second": round((state["polls"] - polls) / seconds, 1),
        "core_percent": round((cpu_seconds(pid) - used) / seconds * 100, 2),
        "bytes_per_worker": (resident_bytes(pid) - before) // options.workers, "failed": len(failed),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--token", action="store_true")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "build" / "programs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        folder = pathlib.Path(top) / "site"
        words = [options.programs / "lode", "site", "--directory", folder, "--address", "127.0.0.1:0", "--workers", "0", "--open"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            said = folder / "site.json"
            while not said.exists():
                time.sleep(0.05)
            host, port = json.loads(said.read_text())["url"].split("//")[1].rstrip("/").rsplit(":", 1)
            token = (folder / "admin.token").read_text().strip()
            site = {"host": host, "port": int(port), "token": token if options.token else None}
            if options.busy:
                context = ssl._create_unverified_context()
                body = json.dumps({"command": ["sleep", "100000"], "count": options.workers, "cache": "off"}).encode()
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
                urllib.request.urlopen(urllib.request.Request(f"https://{host}:{port}/v1/jobs", body, headers), context=context).read()
            print(json.dumps(asyncio.run(measure(options, site, process.pid, top))))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
