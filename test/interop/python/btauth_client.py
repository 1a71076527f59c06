"""Signs requests with the SDK's http_auth and sends them. Standard input: one JSON plan."""

import json
import os
import sys
import urllib.error
import urllib.request

import bittensor as bt
from bittensor.sp_core import Keypair


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def send(url, body, headers):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


plan = json.loads(sys.stdin.readline())
for step in plan["calls"]:
    kinds = {"sr25519": 1, "ed25519": 0}
    key = Keypair.create_from_uri(step["uri"], kinds[step.get("scheme", "sr25519")])
    path = f"/{step['name']}"
    body = json.dumps(step["body"]).encode("utf-8")
    headers = bt.http_auth.sign(
        key,
        method="POST",
        path=step.get("signed_path", path),
        body=body,
        receiver_ss58=step.get("receiver", plan["hotkey"]),
    )
    headers["Content-Type"] = "application/json"
    url = f"http://{plan['ip']}:{plan['port']}{path}"
    if step.get("tamper"):
        body = body.replace(b"5", b"6")
    for _ in range(step.get("times", 1)):
        status, answer = send(url, body, headers)
    say({"status": status, "answer": answer})
sys.stdout.flush()
os._exit(0)
