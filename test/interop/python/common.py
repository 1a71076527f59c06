"""What every helper shares: keys, synapses of the subnets, and no look-up of the external address."""

import json
import os
import sys
from enum import IntEnum
from typing import Any, ClassVar, Dict, List, Optional

import bittensor as bt
from bittensor.utils import networking
from pydantic import BaseModel, Field

try:
    from bittensor_wallet import Keypair
except ImportError:
    Keypair = bt.Keypair

# Both ends ask public web services for their address when constructed.
networking.get_external_ip = lambda: "203.0.113.7"


class KeyWallet:
    """The part of a wallet that an axon and a dendrite use."""

    def __init__(self, uri):
        self.hotkey = Keypair.create_from_uri(uri)
        self.coldkeypub = self.hotkey
        self.name = self.hotkey_str = "interop"


def say(value):
    sys.stdout.write(json.dumps(value, default=str) + "\n")
    sys.stdout.flush()


def leave():
    sys.stdout.flush()
    os._exit(0)


class Version(BaseModel):
    major: int
    minor: int
    patch: int


class Warrant(IntEnum):
    COMPRESSION = 1
    UPSCALING = 2


class Length(IntEnum):
    FIVE = 5
    TEN = 10


class TaskWarrantProtocol(bt.Synapse):
    version: Optional[Version] = None
    warrant_task: Optional[Warrant] = None


class LengthCheckProtocol(bt.Synapse):
    version: Optional[Version] = None
    max_content_length: Length = Length.FIVE


class UpscalePayload(BaseModel):
    reference_video_url: str = Field(default="", min_length=1)
    maximum_optimized_size_mb: int = Field(default=100, gt=0)
    task_type: str = "HD24K"


class MinerResponse(BaseModel):
    optimized_video_url: str = ""


class VideoUpscalingProtocol(bt.Synapse):
    version: Optional[Version] = None
    round_id: Optional[str] = None
    miner_payload: UpscalePayload = Field(default_factory=UpscalePayload, frozen=True)
    miner_response: MinerResponse = Field(default_factory=MinerResponse)


class CompressPayload(BaseModel):
    """The later shape: lists beside the scalars."""

    reference_video_urls: List[str] = Field(default_factory=list)
    reference_video_url: str = ""
    vmaf_threshold: float = Field(default=90.0, ge=0, le=100)
    vmaf_thresholds: List[float] = Field(default_factory=list)
    target_codec: str = "av1"
    target_codecs: List[str] = Field(default_factory=list)
    codec_mode: str = "CRF"
    codec_modes: List[str] = Field(default_factory=list)
    target_bitrate: float = Field(default=10.0, gt=0)
    target_bitrates: List[float] = Field(default_factory=list)


class MinerResponses(BaseModel):
    optimized_video_urls: List[str] = Field(default_factory=list)
    optimized_video_url: str = ""


class VideoCompressionProtocol(bt.Synapse):
    version: Optional[Version] = None
    round_id: Optional[str] = None
    miner_payload: CompressPayload = Field(default_factory=CompressPayload, frozen=True)
    miner_response: MinerResponses = Field(default_factory=MinerResponses)


class JobAck(BaseModel):
    accepted: bool = False


class VideoCompressionJobProtocol(bt.Synapse):
    job_id: str = ""
    miner_payload: CompressPayload = Field(default_factory=CompressPayload, frozen=True)
    job_response: JobAck = Field(default_factory=JobAck)
    miner_response: MinerResponses = Field(default_factory=MinerResponses)


class PollAnswer(BaseModel):
    job_id: str = ""
    status: str = "unknown"
    optimized_video_urls: List[str] = Field(default_factory=list)
    optimized_video_url: str = ""


class VideoCompressionPollProtocol(bt.Synapse):
    job_id: str = ""
    poll_response: PollAnswer = Field(default_factory=PollAnswer)


class VideoTask(bt.Synapse):
    task_id: str = ""
    file_name: str = ""
    secret_key: str = ""
    workflow_params: dict = {}
    upload_url: str = ""
    preview_url: str = ""
    status_code: int = 0
    video_url: str = ""
    metadata_url: str = ""
    error: str = ""
    proxy_comfy_url: str = ""
    proxy_comfy_port: int = 8189
    proxy_signature: str = ""
    proxy_task_id: str = ""
    prompt_id: str = ""
    http_view_url: str = ""


class TaskStatusCheck(bt.Synapse):
    # Fields that are None by default but refuse a None that is sent.
    task_id: str = None
    secret_key: str = None
    status: str = None
    progress: float = 0.0
    estimated_time: int = None
    error_message: str = None


class ComfySupport(bt.Synapse):
    supports_comfy: bool = False


class MinerCapacity(bt.Synapse):
    available: bool = True
    queue_size: int = 0
    estimated_wait_time: int = 0
    max_concurrent_tasks: int = 1


class AudioTask(bt.Synapse):
    task_type: str = "transcription"
    input_data: str
    language: str = "en"
    output_data: Optional[str] = None
    processing_time: Optional[float] = None
    pipeline_model: Optional[str] = None
    error_message: Optional[str] = None


class Nested(BaseModel):
    label: str = ""
    weight: float = 0.0
    tags: List[str] = Field(default_factory=list)
    extra: Optional[Dict[str, Any]] = None


class HashedTask(bt.Synapse):
    required_hash_fields: ClassVar = (
        "prompt",
        "steps",
        "guidance",
        "options",
        "seeds",
        "flag",
        "note",
        "big",
        "nested",
    )
    prompt: str
    steps: int
    guidance: float
    options: Dict[str, Any]
    seeds: List[int]
    flag: bool = False
    note: Optional[str] = None
    big: int = 0
    nested: Nested = Field(default_factory=Nested)
    result: Optional[str] = None


class TokenStream(bt.StreamingSynapse):
    prompt: str = ""
    completion: str = ""

    async def process_streaming_response(self, response):
        async for chunk in response.content.iter_any():
            text = chunk.decode("utf-8")
            self.completion += text
            yield text

    def extract_response_json(self, response):
        return {"name": "TokenStream", "prompt": self.prompt, "completion": self.completion}

    def deserialize(self):
        return self.completion


SYNAPSES = {
    cls.__name__: cls
    for cls in (
        bt.Synapse,
        TaskWarrantProtocol,
        LengthCheckProtocol,
        VideoUpscalingProtocol,
        VideoCompressionProtocol,
        VideoCompressionJobProtocol,
        VideoCompressionPollProtocol,
        VideoTask,
        TaskStatusCheck,
        ComfySupport,
        MinerCapacity,
        AudioTask,
        HashedTask,
        TokenStream,
    )
}
