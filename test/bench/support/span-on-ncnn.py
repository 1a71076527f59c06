"""rgb24 frames of a file -> another file of twice their size, by ncnn on the CPU; prints seconds a frame.

usage: span-on-ncnn.py PARAM BIN INPUT OUTPUT WIDTH HEIGHT THREADS     (0 threads: all)
"""

import os
import sys
import time

import ncnn
import numpy as np

param, weights, source, target = sys.argv[1:5]
width, height, threads = map(int, sys.argv[5:])
net = ncnn.Net()
net.opt.use_vulkan_compute = False
net.opt.num_threads = threads or os.cpu_count()
net.load_param(param)
net.load_model(weights)
frames, started = 0, time.monotonic()
with open(source, "rb") as frames_in, open(target, "wb") as frames_out:
    while len(frame := frames_in.read(width * height * 3)) == width * height * 3:
        rgb = np.frombuffer(frame, np.uint8).reshape(height, width, 3)
        planes = np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / 255
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(planes))
        _, out = extractor.extract("output")
        pixels = np.clip(np.array(out) * 255 + 0.5, 0, 255).astype(np.uint8)
        frames_out.write(np.ascontiguousarray(pixels.transpose(1, 2, 0)).tobytes())
        frames += 1
print((time.monotonic() - started) / max(1, frames))
