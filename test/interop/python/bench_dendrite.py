"""Fans one request out to many axons, round after round. Standard input: one JSON plan."""

import asyncio
import json
import resource
import sys
import time

import bittensor as bt
from common import KeyWallet, LengthCheckProtocol, leave, say


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main():
    plan = json.loads(sys.stdin.readline())
    targets = [
        bt.AxonInfo(
            version=10005000,
            ip="127.0.0.1",
            port=port,
            ip_type=4,
            hotkey=plan["hotkey"],
            coldkey=plan["hotkey"],
        )
        for port in plan["ports"]
    ]
    dendrite = bt.Dendrite(wallet=KeyWallet(plan["uri"]).hotkey)
    for index in range(plan["warmup"] + plan["rounds"]):
        started, used = time.perf_counter(), cpu()
        answers = await dendrite.forward(
            targets, LengthCheckProtocol(), timeout=30.0, deserialize=False
        )
        good = sum(a.is_success and a.max_content_length == 10 for a in answers)
        if index >= plan["warmup"]:
            say(
                {
                    "good": good,
                    "wallMs": (time.perf_counter() - started) * 1e3,
                    "cpuMs": (cpu() - used) * 1e3,
                }
            )
    await dendrite.aclose_session()


asyncio.run(main())
leave()
