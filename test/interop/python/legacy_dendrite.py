"""A real dendrite. Standard input: one JSON plan; standard output: one JSON line per call."""

import asyncio
import json
import sys

import bittensor as bt
from common import SYNAPSES, KeyWallet, leave, say


def target_of(plan):
    return bt.AxonInfo(
        version=10005000,
        ip=plan["ip"],
        port=plan["port"],
        ip_type=4,
        hotkey=plan["hotkey"],
        coldkey=plan["hotkey"],
    )


async def call(dendrite, target, step):
    name = step["name"]
    cls = SYNAPSES.get(name) or type(name, (bt.Synapse,), {})
    synapse = cls(**step.get("fields", {}))
    if name == "TokenStream":
        chunks = []
        async for chunk in dendrite.call_stream(target, synapse, timeout=10.0, deserialize=False):
            if isinstance(chunk, str):
                chunks.append(chunk)
            else:
                synapse = chunk
        return synapse, {"chunks": "".join(chunks)}
    answer = await dendrite.call(
        target, synapse, timeout=step.get("timeout", 10.0), deserialize=False
    )
    return answer, {}


async def main():
    plan = json.loads(sys.stdin.readline())
    dendrite = bt.Dendrite(wallet=KeyWallet(plan["uri"]).hotkey)
    for step in plan["calls"]:
        answer, extra = await call(dendrite, target_of(plan), step)
        say(
            {
                "status": answer.dendrite.status_code,
                "message": answer.dendrite.status_message,
                "success": answer.is_success,
                "axon_hotkey": answer.axon.hotkey,
                "process_time": answer.axon.process_time,
                "fields": json.loads(answer.model_dump_json()),
                **extra,
            }
        )
    await dendrite.aclose_session()


asyncio.run(main())
leave()
