"""Drives the local chain with bittensor 11.3.0 and prints what it saw as one JSON line.

Reads {"url": ...} from standard input.
"""

import json
import sys
from dataclasses import dataclass

import bittensor as bt
from bittensor.keyfiles import Keypair


@dataclass
class Keys:
    """What the SDK asks of a wallet, without files."""

    coldkey: Keypair
    hotkey: Keypair

    @property
    def coldkeypub(self) -> Keypair:
        return self.coldkey

    @property
    def hotkeypub(self) -> Keypair:
        return self.hotkey


def keys(coldkey: str, hotkey: str) -> Keys:
    return Keys(Keypair.create_from_uri(coldkey), Keypair.create_from_uri(hotkey))


def run(chain, intent, wallet: Keys) -> dict:
    """Executes an intent, or submits a call as it is."""
    try:
        submit = chain.execute if isinstance(intent, bt.Intent) else chain.submit_call
        result = submit(intent, wallet)
        return {"success": bool(result.success), "message": str(result.message or "")}
    except bt.BittensorError as error:
        return {"success": False, "message": f"{type(error).__name__}: {error}"}


def main() -> None:
    chain = bt.Subtensor(json.loads(sys.stdin.readline())["url"])
    validator = keys("//Alice", "//Validator")
    miner = keys("//Bob", "//OtherMiner")

    # The register intent reads storage that came after runtime 425; the call is the same.
    register = bt.calls.SubtensorModule.burned_register(
        netuid=1, hotkey=miner.hotkey.ss58_address
    )
    registered = run(chain, register, miner)
    served = run(chain, bt.ServeAxon(netuid=1, ip="203.0.113.9", port=8092), miner)
    refused = run(chain, bt.ServeAxon(netuid=1, ip="127.0.0.1", port=8092), miner)
    n = len(chain.subnets.metagraph(1))
    weighed = run(
        chain, bt.SetWeights(netuid=1, weights={uid: 1.0 for uid in range(1, n)}), validator
    )
    metagraph = chain.subnets.metagraph(1)
    print(
        json.dumps(
            {
                "sdk": bt.__version__,
                "registered": registered,
                "served": served,
                "refused": refused,
                "weighed": weighed,
                "hotkeys": metagraph.hotkeys,
                "axons": [neuron.axon for neuron in metagraph],
                "permits": [neuron.validator_permit for neuron in metagraph],
                "balance": str(chain.balances.get(miner.coldkey.ss58_address)),
            }
        )
    )
    chain.close()


main()
