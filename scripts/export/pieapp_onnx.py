"""PIE-APP's published weights to ONNX: pieapp_patches.onnx in a folder of models.

Usage: python pieapp_onnx.py WEIGHTS FOLDER     WEIGHTS: PieAPPv0.1-0937b014.pth as pyiqa publishes it

ref, dist float [N, 3, 64, 64] (BGR, 0-255) -> error, weight float [N]. A picture's score is the weighted mean
over patches every 27 pixels; Subreel cuts the patches.
"""

import sys
from pathlib import Path

import torch
from torch.nn import functional
from common import add_to_manifest, check_close, export, run
from pyiqa.archs.pieapp_arch import PieAPP


class Patches(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ref, dist):
        model = self.model
        ref_all, ref_coarse = model.compute_features(ref)
        dist_all, dist_coarse = model.compute_features(dist)
        score = model.fc2_score(functional.relu(model.fc1_score(ref_all - dist_all)))
        error = model.ref_score_subtract(0.01 * score)
        weight = model.fc2_weight(functional.relu(model.fc1_weight(ref_coarse - dist_coarse)))
        return error.reshape(-1), weight.reshape(-1) + 1e-6


def main(weights: str, folder: str):
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    model = PieAPP(pretrained=False, pretrained_model_path=weights).eval()
    patches = Patches(model).eval()
    torch.manual_seed(0)
    ref = torch.rand(1, 3, 64 + 2 * 27, 64 + 27)
    dist = (ref + 0.1 * torch.randn_like(ref)).clamp(0, 1)

    def cut(picture):
        bgr = picture[:, [2, 1, 0]] * 255
        tiles = bgr.unfold(2, 64, 27).unfold(3, 64, 27)
        return tiles.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 64, 64).contiguous()

    feeds = {"ref": cut(ref), "dist": cut(dist)}
    path = out / "pieapp_patches.onnx"
    export(patches, tuple(feeds.values()), path, list(feeds), ["error", "weight"])
    error, weight = run(path, feeds)
    with torch.inference_mode():
        whole = model(dist, ref).item()
    check_close("pieapp", (error * weight).sum() / weight.sum(), whole, 2e-3)
    add_to_manifest(
        out,
        "pieapp_patches",
        path.name,
        "see https://github.com/prashnani/PerceptualImageError",
        f"{Path(weights).name}, scripts/export/pieapp_onnx.py",
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
