"""The catalogue log of a running site, verified from scratch: Python's own JSON and hashes, and openssl for the signatures."""

import base64
import contextlib
import hashlib
import json
import sqlite3
import subprocess

from conftest import eventually

DER_PREFIX = bytes.fromhex("302a300506032b6570032100")


def public_key_of(site):
    """The PEM of the site's public key, taken from its certificate; and the fingerprint that it has."""
    certificate = site.directory / "certificate.pem"
    pem = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert der.startswith(DER_PREFIX)
    return pem, "sha256:" + hashlib.sha256(der).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_signed(entry, pem, folder):
    """Does openssl find the entry's signature good?"""
    bare = {name: value for name, value in entry.items() if name != "signature"}
    (folder / "key.pem").write_bytes(pem)
    (folder / "message").write_bytes(b"lode-statement-1\n" + canonical(bare))
    (folder / "signature").write_bytes(base64.b64decode(entry["signature"], validate=True))
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-in", "message", "-sigfile", "signature"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


def read_log(site, tmp_path):
    """All entries of the log, each verified, and the chain through them."""
    pem, fingerprint = public_key_of(site)
    with contextlib.closing(sqlite3.connect(f"file:{site.directory}/lode.db?mode=ro", uri=True)) as database:
        database.execute("BEGIN")  # Both see the same moment.
        rows = database.execute("SELECT serial, chain, entry FROM ledger_entries ORDER BY epoch, serial").fetchall()
        epoch, serial, head = database.execute("SELECT epoch, serial, head FROM ledger_log").fetchone()
    entries, chain = [], bytes(32)
    for number, (at, stored, text) in enumerate(rows, 1):
        chain = hashlib.sha256(chain + hashlib.sha256(text).digest()).digest()
        entry = json.loads(text)
        assert canonical(entry) == text
        assert (at, entry["serial"], entry["epoch"], stored) == (number, number, epoch, chain)
        assert entry["site"] == fingerprint == site.fingerprint
        assert is_signed(entry, pem, tmp_path)
        entries.append(entry)
    assert (serial, head) == (len(entries), chain)
    return entries


def latest(entries):
    """What holds: the last entry about each id."""
    return {entry["id"]: entry for entry in entries}


def test_the_log_tells_what_the_catalogue_does(make_site, lode, coads, tmp_path):
    site = make_site(options=["--workers", "0"])
    assert read_log(site, tmp_path) == []
    lode("data", "add", "doi:10.5065/coads", coads, "--alias", "s:coads", "--title", "Comprehensive \u201cOcean\u201d Data")
    entries = read_log(site, tmp_path)
    described = lode.json("data", "show", "s:coads")
    assert [entry["kind"] for entry in entries] == ["dataset"]
    assert entries[0]["id"] == "doi:10.5065/coads"
    assert entries[0]["aliases"] == ["s:coads"]
    assert entries[0]["title"] == "Comprehensive \u201cOcean\u201d Data"
    assert entries[0]["digest"] == described["digest"]
    assert entries[0]["file_count"] == 1
    assert entries[0]["size_bytes"] == (coads / "coads_climatology.cdf").stat().st_size
    assert (entries[0]["tier"], entries[0]["state"]) == ("online", "available")
    (coads / "more").write_text("more")
    lode("data", "verify", "s:coads", status=None)
    eventually(lambda: latest(read_log(site, tmp_path))["doi:10.5065/coads"]["state"] == "changed", about="the change in the log")
    lode("data", "verify", "--accept-changes", "s:coads")
    eventually(lambda: latest(read_log(site, tmp_path))["doi:10.5065/coads"]["file_count"] == 2, about="the acceptance in the log")
    lode("data", "remove", "s:coads")
    entries = read_log(site, tmp_path)
    assert [entry["kind"] for entry in entries] == ["dataset"] * 3 + ["removal"]
    assert latest(entries)["doi:10.5065/coads"]["kind"] == "removal"


def test_the_log_survives_a_crash_and_adopts_what_is_older(make_site, lode, tmp_path):
    site = make_site(options=["--workers", "0"])
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("a")
    lode("data", "add", "s:one", data)
    lode("data", "add", "s:two", data)
    before = read_log(site, tmp_path)
    assert len(before) == 2
    site.kill()
    site.start()
    assert read_log(site, tmp_path) == before
    # As if the datasets had been registered by a version that had no log.
    assert site.stop() == 0
    with contextlib.closing(sqlite3.connect(site.directory / "lode.db")) as database:
        database.executescript("DELETE FROM ledger_entries; DELETE FROM ledger_datasets; DELETE FROM ledger_log;")
    site.start()
    adopted = read_log(site, tmp_path)
    assert sorted(entry["id"] for entry in adopted) == ["s:one", "s:two"]
    assert site.stop() == 0
    site.start()
    assert read_log(site, tmp_path) == adopted
