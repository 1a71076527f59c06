"""The axon of bittensor 10.5.0 with one synapse, to be measured. Usage: python-axon.py PORT"""

import sys
import time
from types import SimpleNamespace
from typing import Optional

from bittensor.core.axon import Axon
from bittensor.core.synapse import Synapse
from bittensor_wallet import Keypair
from pydantic import BaseModel, Field


class Version(BaseModel):
    major: int
    minor: int
    patch: int


class Payload(BaseModel):
    reference_video_url: str = Field(default="", min_length=1)
    maximum_optimized_size_mb: int = Field(default=100, gt=0)
    task_type: str = "HD24K"


class Response(BaseModel):
    optimized_video_url: str = ""


class VideoUpscalingProtocol(Synapse):
    version: Optional[Version] = None
    round_id: Optional[str] = None
    miner_payload: Payload = Field(default_factory=Payload, frozen=True)
    miner_response: Response = Field(default_factory=Response)


def forward(synapse: VideoUpscalingProtocol) -> VideoUpscalingProtocol:
    url = synapse.miner_payload.reference_video_url
    synapse.miner_response.optimized_video_url = url + ".optimized"
    return synapse


port = int(sys.argv[1])
wallet = SimpleNamespace(hotkey=Keypair.create_from_uri("//Bob"))
axon = Axon(wallet=wallet, port=port, ip="127.0.0.1", external_ip="127.0.0.1")
axon.attach(forward_fn=forward)
axon.start()
print(port, flush=True)
while True:
    time.sleep(3600)
