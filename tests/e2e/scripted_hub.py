"""A hub that takes every site in and answers about datasets as a test tells it to: with lies, garbage, or never."""

import base64
import json
import subprocess

from scripted_site import ScriptedSite

NOTHING = "sha256:" + "0" * 64


def canonical(statement):
    """The form that is signed (docs/protocols/federation.md)."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class ScriptedHub(ScriptedSite):
    """Signs with a key of its own. `says` is what it answers about any dataset: a function as in ScriptedSite."""

    def __init__(self, folder, name="liar"):
        super().__init__(folder)
        self.name = name
        self.says = None
        self.asked = 0

    @property
    def public_key(self):
        public = subprocess.run(["/usr/bin/openssl", "pkey", "-in", str(self.key), "-pubout", "-outform", "DER"],
                                check=True, capture_output=True).stdout
        return base64.b64encode(public[-32:]).decode()

    def sign(self, statement):
        """The statement with the hub's own fingerprint and signature."""
        statement = {**statement, "site": self.fingerprint}
        message = self.folder / "message"
        message.write_bytes(b"lode-statement-1\n" + canonical(statement).encode())
        signature = subprocess.run(["/usr/bin/openssl", "pkeyutl", "-sign", "-rawin", "-in", str(message), "-inkey", str(self.key)],
                                   check=True, capture_output=True).stdout
        return {**statement, "signature": base64.b64encode(signature).decode()}

    def start(self):
        super().start()
        site = self.sign({"kind": "site", "name": self.name, "public_key": self.public_key, "urls": [self.url], "version": "0.1.0",
                          "protocol": 1, "is_hub": True, "time": "2026-11-21T10:00:00Z"})
        position = {"epoch": 0, "serial": 0, "head": NOTHING}
        self.on("GET", "/v1/federation/site", site)
        self.on("POST", r"/v1/federation/announce(\?.*)?", {"site": site, "standing": "member", **position, "heartbeat_seconds": 1, "wants": "poll"})
        self.on("POST", "/v1/federation/heartbeat", position)
        self.on("GET", r"/v1/resolve/([^?]*)(\?.*)?", self._resolve)
        return self

    def _resolve(self, request):
        self.asked += 1
        return self.says(request) if self.says else (404, {"title": "not found", "status": 404, "detail": "no such dataset", "fix": ""})
