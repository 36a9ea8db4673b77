"""A service as the stack sees one: it has settings, uses its database, and says when it is ready."""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        reasons = json.loads(os.environ.get("FAKE_REASONS", "[]"))
        body = json.dumps({"ok": not reasons, "reasons": reasons, "env": dict(os.environ)}).encode()
        self.send_response(503 if reasons else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


def end(number: int, frame: FrameType | None) -> None:
    print(json.dumps({"event": "stopped"}), flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
print(json.dumps({"event": "started", "instance": os.environ["SUPERVISOR_PROCESS_NAME"]}), flush=True)
HTTPServer((os.environ["TEPAT_HTTP_HOST"], int(os.environ["TEPAT_HTTP_PORT"])), Health).serve_forever()
