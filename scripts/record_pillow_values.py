#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what Pillow makes of 500 random resizes and of JPEG files of every common kind, for tests/preprocess/pillow_test.cpp.

usage: record_pillow_values.py tests/preprocess/pillow

Runs in an environment of its own: python3 -m venv env && env/bin/pip install Pillow==12.2.0 numpy==2.3.5
Pillow 12 at most: version 13 may resize vertically first, which changes values by one level.
"""
import hashlib
import io
import json
import pathlib
import sys

import numpy
import PIL
from PIL import Image

SHAPES = 500


def splitmix(values):
    """splitmix64 of each value (uint64 array); tests/preprocess/pillow_test.cpp does the same."""
    with numpy.errstate(over="ignore"):
        z = values + numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def number(shape, index):
    return int(splitmix(numpy.array([(shape << 32) + index], dtype=numpy.uint64))[0])


def picture(shape, height, width):
    index = numpy.arange(height * width * 3, dtype=numpy.uint64) + numpy.uint64((shape << 32) + 1000)
    return (splitmix(index) >> numpy.uint64(56)).astype(numpy.uint8).reshape(height, width, 3)


def side(shape, index):
    """1 to 160 pixels; every eighth side up to 1000."""
    value = number(shape, index)
    return 1 + (value >> 8) % (1000 if value % 8 == 0 else 160)


def resizes():
    rows = []
    for shape in range(SHAPES):
        height, width, to_height, to_width = (side(shape, i) for i in range(4))
        if number(shape, 4) % 10 == 0:
            to_height = height
        if number(shape, 5) % 10 == 0:
            to_width = width
        resized = Image.fromarray(picture(shape, height, width)).resize((to_width, to_height), Image.Resampling.BILINEAR)
        rows.append({"from": [height, width], "to": [to_height, to_width], "sha256": hashlib.sha256(resized.tobytes()).hexdigest()})
    return rows


def jpegs(folder):
    """A smooth picture with some noise, so that files stay small and chroma differs from luma everywhere."""
    kinds = [("444_q95", (33, 47), {"quality": 95, "subsampling": 0}), ("422_q90", (48, 61), {"quality": 90, "subsampling": 1}),
             ("420_q75", (97, 64), {"quality": 75, "subsampling": 2}), ("420_q30_odd", (35, 51), {"quality": 30, "subsampling": 2}),
             ("420_progressive", (80, 55), {"quality": 85, "subsampling": 2, "progressive": True}),
             ("444_progressive", (23, 90), {"quality": 60, "subsampling": 0, "progressive": True}),
             ("420_optimised", (64, 64), {"quality": 50, "optimize": True}), ("420_q100", (41, 40), {"quality": 100}),
             ("gray", (50, 39), {"quality": 80, "gray": True}), ("one_pixel", (1, 1), {"quality": 75}), ("one_row", (1, 77), {"quality": 75}),
             ("one_column", (83, 1), {"quality": 75}), ("restart", (60, 72), {"quality": 70, "restart_marker_blocks": 4}),
             ("video_frame", (120, 208), {"quality": 75})]
    rows = []
    for index, (name, (height, width), options) in enumerate(kinds):
        y, x = numpy.mgrid[0:height, 0:width]
        waves = [127 + 90 * numpy.sin(x / (5 + c) + c) * numpy.cos(y / (7 - c)) for c in range(3)]
        noise = picture(1000 + index, height, width).astype(numpy.float64) / 12
        image = Image.fromarray(numpy.clip(numpy.stack(waves, 2) + noise, 0, 255).astype(numpy.uint8))
        if options.pop("gray", False):
            image = image.convert("L")
        file = io.BytesIO()
        image.save(file, "JPEG", **options)
        (folder / f"{name}.jpg").write_bytes(file.getvalue())
        decoded = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
        rows.append({"file": f"{name}.jpg", "size": [height, width], "sha256": hashlib.sha256(decoded.tobytes()).hexdigest()})
    return rows


def main(folder):
    if int(PIL.__version__.split(".")[0]) > 12:
        sys.exit(f"record_pillow_values: Pillow 12 at most is needed, found {PIL.__version__}")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"pillow": PIL.__version__})]
    lines += [json.dumps({"resize": row}) for row in resizes()]
    lines += [json.dumps({"jpeg": row}) for row in jpegs(folder)]
    (folder / "values.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
