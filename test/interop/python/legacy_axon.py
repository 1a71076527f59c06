"""A real axon. Standard input: one JSON plan, then the end of the file to stop."""

import asyncio
import json
import sys
from functools import partial
from typing import Tuple

import bittensor as bt
from common import (
    AudioTask,
    ComfySupport,
    HashedTask,
    KeyWallet,
    LengthCheckProtocol,
    TaskStatusCheck,
    TaskWarrantProtocol,
    TokenStream,
    VideoCompressionJobProtocol,
    VideoCompressionPollProtocol,
    VideoCompressionProtocol,
    VideoTask,
    VideoUpscalingProtocol,
    leave,
    say,
)

plan = json.loads(sys.stdin.readline())


async def warrant(synapse: TaskWarrantProtocol) -> TaskWarrantProtocol:
    synapse.warrant_task = 2
    return synapse


async def length(synapse: LengthCheckProtocol) -> LengthCheckProtocol:
    synapse.max_content_length = 10
    return synapse


async def upscale(synapse: VideoUpscalingProtocol) -> VideoUpscalingProtocol:
    payload = synapse.miner_payload
    if payload.task_type == "SLOW":
        await asyncio.sleep(20)
    if payload.task_type == "BROKEN":
        raise RuntimeError("broken")
    if payload.task_type == "BUSY":
        synapse.axon.status_code = 429
        return synapse
    url = f"{payload.reference_video_url}#{payload.task_type}#{payload.maximum_optimized_size_mb}"
    synapse.miner_response.optimized_video_url = url
    return synapse


async def compress(synapse: VideoCompressionProtocol) -> VideoCompressionProtocol:
    payload = synapse.miner_payload
    synapse.miner_response.optimized_video_urls = [
        f"{url}#{payload.vmaf_thresholds[i]}#{payload.target_codecs[i]}"
        for i, url in enumerate(payload.reference_video_urls)
    ]
    return synapse


async def job(synapse: VideoCompressionJobProtocol) -> VideoCompressionJobProtocol:
    synapse.job_response.accepted = synapse.job_id == "job-1"
    return synapse


async def poll(synapse: VideoCompressionPollProtocol) -> VideoCompressionPollProtocol:
    synapse.poll_response.job_id = synapse.job_id
    synapse.poll_response.status = "completed"
    synapse.poll_response.optimized_video_url = "http://198.51.100.1/r.mp4"
    return synapse


async def video(synapse: VideoTask) -> VideoTask:
    synapse.status_code = 200
    synapse.video_url = json.dumps(synapse.workflow_params)
    return synapse


async def status(synapse: TaskStatusCheck) -> TaskStatusCheck:
    synapse.status = "processing"
    synapse.progress = 42.5
    synapse.estimated_time = 7
    synapse.error_message = synapse.task_id
    synapse.secret_key = "k"
    return synapse


async def comfy(synapse: ComfySupport) -> ComfySupport:
    synapse.supports_comfy = True
    return synapse


async def audio(synapse: AudioTask) -> AudioTask:
    synapse.output_data = synapse.input_data[::-1]
    synapse.processing_time = 1.0
    return synapse


async def hashed(synapse: HashedTask) -> HashedTask:
    synapse.result = f"{synapse.steps + 1}:{synapse.options}:{synapse.nested.weight}"
    return synapse


async def tokens(synapse: TokenStream) -> TokenStream:
    async def write(words, send):
        for word in words:
            await send(
                {"type": "http.response.body", "body": word.encode("utf-8"), "more_body": True}
            )

    return synapse.create_streaming_response(partial(write, synapse.prompt.split(" ")))


def blacklist_upscale(synapse: VideoUpscalingProtocol) -> Tuple[bool, str]:
    return synapse.dendrite.hotkey == plan["blacklisted"], "not registered"


axon = bt.Axon(
    wallet=KeyWallet(plan["uri"]),
    port=plan["port"],
    ip="127.0.0.1",
    external_ip="127.0.0.1",
    external_port=plan["port"],
)
axon.attach(forward_fn=upscale, blacklist_fn=blacklist_upscale)
for forward in (
    warrant,
    length,
    compress,
    job,
    poll,
    video,
    status,
    comfy,
    audio,
    hashed,
    tokens,
):
    axon.attach(forward_fn=forward)
axon.start()
say({"ready": True})
sys.stdin.read()
leave()
