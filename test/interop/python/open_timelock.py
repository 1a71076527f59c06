"""Opens timelocked bytes with bittensor-drand and prints the plain text as one JSON line.

Reads {"sealed": hex of a portable envelope, "signature": hex} from standard input.
"""

import json
import sys
from importlib.metadata import version

import bittensor_drand

plan = json.loads(sys.stdin.readline())
plain = bittensor_drand.decrypt_with_signature(bytes.fromhex(plan["sealed"]), plan["signature"])
print(json.dumps({"version": version("bittensor_drand"), "plain": bytes(plain).hex()}))
