"""ImageBind's published weights to ONNX: imagebind_vision.onnx and imagebind_audio.onnx.

Usage: python imagebind_onnx.py WEIGHTS FOLDER     WEIGHTS: imagebind_huge.pth as Meta publishes it

The weights are CC BY-NC-SA 4.0: not for commercial use. Inputs as Subreel prepares them:
clips float [N, 3, 2, 224, 224] and spectra float [N, 1, 128, 204] -> embedding float [N, 1024].
"""

import sys
from pathlib import Path

import torch
from common import add_to_manifest, check_cosine, export, run
from imagebind.models.imagebind_model import ModalityType, imagebind_huge

LICENCE = "CC-BY-NC-SA-4.0"


class Modality(torch.nn.Module):
    """One modality of the model, clip by clip: the mean over clips is the caller's."""

    def __init__(self, model, key):
        super().__init__()
        self.key = key
        self.preprocessor = model.modality_preprocessors[key]
        self.trunk = model.modality_trunks[key]
        self.head = model.modality_heads[key]
        self.postprocessor = model.modality_postprocessors[key]

    def forward(self, x):
        prepared = self.preprocessor(**{self.key: x})
        features = self.trunk(**prepared["trunk"])
        return self.postprocessor(self.head(features, **prepared["head"]))


def main(weights: str, folder: str):
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    model = imagebind_huge(pretrained=False)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.eval()
    torch.manual_seed(0)
    jobs = [
        ("imagebind_vision", ModalityType.VISION, "clips", torch.randn(2, 3, 2, 224, 224)),
        ("imagebind_audio", ModalityType.AUDIO, "spectra", torch.randn(2, 1, 128, 204)),
    ]
    for name, key, input_name, example in jobs:
        path = out / f"{name}.onnx"
        modality = Modality(model, key).eval()
        export(modality, (example,), path, [input_name], ["embedding"])
        with torch.inference_mode():
            # The model's own forward averages over the clips of one file: one clip per file here.
            theirs = model({key: example.unsqueeze(1)})[key].numpy()
        (ours,) = run(path, {input_name: example})
        check_cosine(name, ours, theirs)
        source = f"{Path(weights).name}, scripts/export/imagebind_onnx.py"
        add_to_manifest(out, name, path.name, LICENCE, source)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
