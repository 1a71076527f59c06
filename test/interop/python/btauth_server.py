"""A server that lets in what the SDK's http_auth verifies. Standard input: one JSON plan."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import bittensor as bt

plan = json.loads(sys.stdin.readline())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            caller = bt.http_auth.verify(
                self.headers,
                body,
                method="POST",
                path=self.path,
                self_hotkey_ss58=plan["hotkey"],
            )
            name = self.path.strip("/")
            answer = {"status": 200, **self.answer(name, json.loads(body), caller)}
        except bt.http_auth.AuthError as error:
            answer = {"status": 401, "message": str(error)}
        status = answer.pop("status")
        text = json.dumps(answer).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self, name, request, caller):
        if name == "LengthCheckProtocol":
            return {"max_content_length": 10}
        if name == "VideoTask":
            return {"status_code": 200, "video_url": caller.hotkey_ss58, "error": request["task_id"]}
        return {"status": 404, "message": "no such synapse"}

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
sys.stdout.write(json.dumps({"ready": True, "port": server.server_address[1]}) + "\n")
sys.stdout.flush()

threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
