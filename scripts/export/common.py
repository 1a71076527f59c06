"""What the export scripts share: the manifest that Subreel reads, and the parity check."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

OPSET = 18


def export(module, inputs, path, input_names, output_names):
    """
    Writes a module as ONNX with a free first axis and one file. torch puts the weights of a large model
    into further files beside it, so that is done in a folder of its own.
    """
    import torch

    axes = {name: {0: "N"} for name in [*input_names, *output_names]}
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        first = Path(scratch) / "model.onnx"
        torch.onnx.export(
            module,
            inputs,
            str(first),
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=axes,
            opset_version=OPSET,
        )
        onnx.save(with_halves(onnx.load(str(first))), str(path))


def with_halves(model, least=1024):
    """
    Keeps large weights in 16 bits, widened when the model is loaded. A file of over 2 GiB would need its
    weights in further files, which the manifest does not pin.
    """
    graph = model.graph
    casts = []
    for weight in list(graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < least:
            continue
        graph.initializer.remove(weight)
        half = f"{weight.name}_half"
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [weight.name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def run(path, feeds):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in feeds.items()})


def check_cosine(name, ours, theirs, least=0.999):
    """Stops unless every row points the same way in PyTorch and in ONNX Runtime."""
    dot = (ours * theirs).sum(axis=1)
    cosine = dot / (np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1))
    print(f"{name}: least cosine to PyTorch {cosine.min():.6f}")
    if not cosine.min() >= least:
        sys.exit(f"{name}: parity failed, at least {least} is needed")


def check_close(name, ours, theirs, most):
    """Stops unless two numbers or arrays differ by at most `most`."""
    difference = float(np.abs(np.asarray(ours) - np.asarray(theirs)).max())
    print(f"{name}: largest difference to PyTorch {difference:.2e}")
    if not difference <= most:
        sys.exit(f"{name}: parity failed, at most {most} is allowed")


def add_to_manifest(folder: Path, name: str, file: str, licence: str, source: str):
    path = folder / "manifest.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    sha256 = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    entry = {"name": name, "file": file, "sha256": sha256, "licence": licence, "source": source}
    kept = [other for other in entries if other["name"] != name]
    path.write_text(json.dumps([*kept, entry], indent=2) + "\n")
    print(f"{folder / file}: sha256 {sha256}")
