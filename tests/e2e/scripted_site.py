"""A site that answers as a test tells it to: for what a real one does only by accident, such as breaking off in the middle."""

import base64
import hashlib
import http.server
import json
import os
import re
import ssl
import subprocess
import threading

TOKEN = "lode_" + "s" * 43


class ScriptedSite:
    """Serves `routes`: a list of (method, pattern of the path, function(request) -> None or an answer). The first that fits counts.

    An answer is (code, body) or (code, body, headers); the body is bytes, or a value for JSON. A function that writes to
    `request.wfile` itself returns None. `request.match` is the pattern's match, `request.body` the bytes that came. `seen` lists all requests as
    (method, path).
    """

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.key = folder / "key.pem"
        self.certificate = folder / "certificate.pem"
        subprocess.run(
            ["/usr/bin/openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=scripted", "-days", "2"]
            + ["-keyout", str(self.key), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )
        public = subprocess.run(
            ["/usr/bin/openssl", "pkey", "-in", str(self.key), "-pubout", "-outform", "DER"], check=True, capture_output=True
        )
        self.fingerprint = "sha256:" + hashlib.sha256(public.stdout).hexdigest()
        self.routes = []
        self.seen = []
        self.server = None
        self.port = 0

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def start(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def serve(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.seen.append((self.command, self.path))
                for method, pattern, function in site.routes:
                    self.match = re.fullmatch(pattern, self.path)
                    if method == self.command and self.match:
                        answer = function(self)
                        return self.answer(*answer) if answer else None
                return self.problem(404, f"nothing is scripted for {self.command} {self.path}")

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = serve

            def answer(self, code, body=b"", headers=()):
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                self.send_response(code)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def problem(self, code, detail, fix=""):
                self.answer(code, {"title": "problem", "status": code, "detail": detail, "fix": fix},
                            {"Content-Type": "application/problem+json"})

            def begin_events(self):
                """The head of a stream of events; its end is the connection's."""
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True

            def event(self, name, data, event_id):
                self.wfile.write(f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode())
                self.wfile.flush()

            def break_off(self):
                """Ends the connection without an answer."""
                self.close_connection = True
                self.connection.close()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, address):
                pass

            def get_request(self):
                raw, address = super().get_request()
                return site.context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, self.key)
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def be_local(self, directory):
        """Writes what `lode site` leaves for its own user: no login is needed then."""
        directory.mkdir(parents=True, exist_ok=True)
        said = {"url": self.url, "fingerprint": self.fingerprint, "name": "scripted", "pid": os.getpid()}
        (directory / "site.json").write_text(json.dumps(said))
        (directory / "admin.token").write_text(TOKEN + "\n")
        (directory / "admin.token").chmod(0o600)

    def on(self, method, pattern, function):
        """Adds a route; a value instead of a function is answered with code 200."""
        self.routes.append((method, pattern, function if callable(function) else lambda request: (200, function)))

    def count(self, method, path):
        return self.seen.count((method, path))


def job(state="running", job_id=17, total=1, **fields):
    """A job's document."""
    tasks = {"total": total, "succeeded": 0, "failed": 0, "running": 0, "waiting": 0, "cancelled": 0, "cached": 0}
    tasks.update(fields.pop("tasks", {}))
    return {"id": job_id, "name": "", "owner": "admin", "state": state, "mode": "command", "submitted_at": "2026-11-21T10:00:00Z",
            "started_at": None, "finished_at": "2026-11-21T10:00:01Z", "tasks": tasks, "exit_code": 0, "message": "", "version": 1, "spec": {}, **fields}


def log(text, offset=0, stream="stdout"):
    """The data of an event of live output."""
    return {"index": 0, "stream": stream, "offset": offset, "base64": base64.b64encode(text.encode()).decode()}


def task(index=0, stdout="", state="succeeded", **fields):
    """The data of an event of a task's end."""
    return {"index": index, "state": state, "exit_code": 0, "cached": False, "stdout": stdout, "stderr": "", "message": "", **fields}
