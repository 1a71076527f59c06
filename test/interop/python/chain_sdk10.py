"""Drives the local chain with bittensor 10.5.0 and prints what it saw as one JSON line.

Reads {"url": ...} from standard input; "commit": true says that the subnet wants commits.
"""

import json
import os
import sys

import bittensor as bt
from bittensor.core.extrinsics.serving import serve_extrinsic
from bittensor_wallet import Keypair, Wallet


def wallet(directory: str, name: str, coldkey: str, hotkey: str) -> Wallet:
    made = Wallet(name=name, hotkey="default", path=directory)
    made.set_coldkey(Keypair.create_from_uri(coldkey), encrypt=False, overwrite=True)
    made.set_coldkeypub(Keypair.create_from_uri(coldkey), overwrite=True)
    made.set_hotkey(Keypair.create_from_uri(hotkey), encrypt=False, overwrite=True)
    return made


def told(response) -> dict:
    return {"success": bool(response.success), "message": str(response.message or "")}


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    directory = os.path.expanduser("~/wallets")
    chain = bt.Subtensor(network=plan["url"])
    validator = wallet(directory, "validator", "//Alice", "//Validator")
    miner = wallet(directory, "miner", "//Bob", "//NewMiner")

    registered = chain.burned_register(miner, netuid=1)
    served = serve_extrinsic(
        subtensor=chain, wallet=miner, ip="203.0.113.5", port=8091, protocol=4, netuid=1
    )
    refused = serve_extrinsic(
        subtensor=chain, wallet=miner, ip="127.0.0.1", port=8091, protocol=4, netuid=1
    )
    before = chain.metagraph(1)
    weighed = chain.set_weights(
        wallet=validator,
        netuid=1,
        uids=list(range(len(before.hotkeys))),
        weights=[0.0] + [1.0] * (len(before.hotkeys) - 1),
        max_attempts=1,
    )
    metagraph = chain.metagraph(1, lite=False)
    print(
        json.dumps(
            {
                "sdk": bt.__version__,
                "registered": told(registered),
                "served": told(served),
                "refused": told(refused),
                "weighed": told(weighed),
                "hotkeys": metagraph.hotkeys,
                "axons": [f"{a.ip}:{a.port}" for a in metagraph.axons],
                "permits": [bool(p) for p in metagraph.validator_permit],
                "weights": [[float(w) for w in row] for row in metagraph.weights],
                "stake": [float(s) for s in metagraph.S],
                "tempo": chain.tempo(1),
                "balance": float(chain.get_balance(miner.coldkeypub.ss58_address)),
            }
        )
    )


main()
