# SPDX-License-Identifier: Apache-2.0
"""A finished profile with kept features, made of random numbers, for timing `mvrm whatif`.

usage: python bench/whatif_profile.py OUT [ROWS] [WIDTH]
Features have a few strong directions and a long tail, as a model's have; labels are levels 1 to 4 of a noisy linear function of them.
"""
import json
import pathlib
import sys

import numpy
from safetensors.numpy import save_file

out = pathlib.Path(sys.argv[1])
rows, width = (int(sys.argv[2]) if len(sys.argv) > 2 else 36900), (int(sys.argv[3]) if len(sys.argv) > 3 else 4096)
names = ["visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"]
random = numpy.random.default_rng(0)
scale = (1.0 / numpy.sqrt(1.0 + numpy.arange(width))).astype(numpy.float32)
feature = random.standard_normal((rows, width), dtype=numpy.float32) * scale + 0.5
reward = 2.5 + (feature - 0.5) @ random.standard_normal((width, len(names)), dtype=numpy.float32) * 0.3
label = numpy.clip(numpy.rint(reward + 0.4 * random.standard_normal(reward.shape, dtype=numpy.float32)), 1, 4).astype(numpy.float32)
reward = reward.astype(numpy.float32)
residual = reward - label
norm = (feature.astype(numpy.float64) ** 2).sum(1).astype(numpy.float32)

out.mkdir(parents=True, exist_ok=True)
save_file({"feature": feature, "prediction": reward, "label": label, "residual": residual, "feature_sq_norm": norm,
           "self_influence": residual**2 * norm[:, None], "done": numpy.ones(rows, numpy.uint8)}, out / "profile.safetensors")
(out / "samples.jsonl").write_text("".join(json.dumps({"id": f"{n:05d}", "prompt": ""}) + "\n" for n in range(rows)))
(out / "profile.json").write_text(json.dumps({
    "model_hash": "none", "data_hash": "none", "reading": "random numbers", "dimensions": names, "samples": rows, "estimator": "closed_form",
    "space": "", "prefix_frames": 0, "features": "f32", "feature_width": width, "done": rows}) + "\n")
