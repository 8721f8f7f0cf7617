# SPDX-License-Identifier: Apache-2.0
"""Reads every tensor of a model directory with Python's safetensors and writes them to one file of another directory: round_trip_test.cpp."""
import json
import pathlib
import shutil
import sys

from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def main(source, target):
    index = source / "model.safetensors.index.json"
    names = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else ["model.safetensors"]
    tensors = {}
    for name in names:
        with safe_open(source / name, framework="numpy") as file:
            assert file.metadata() == {"format": "pt"}, file.metadata()
        tensors.update(load_file(source / name))
    target.mkdir(exist_ok=True)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(source / "config.json", target / "config.json")
    print(len(tensors))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
