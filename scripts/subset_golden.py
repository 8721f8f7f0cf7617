#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a full set of reference data into what tests/golden keeps in the repository (8 MB at most). Standard library only.

usage: scripts/subset_golden.py FULL_DIRECTORY tests/golden

Everything is kept, pixels as one byte and a table of levels, masks as booleans, except the gradients of the cases other than c2_batch.
Nothing is recomputed: what is kept is bit for bit what the full data holds.
"""
import json
import pathlib
import shutil
import struct
import sys

COPIED = ("manifest.json", "tiny_tokenizer.model", "tiny/config.json", "tiny/model.safetensors", "model_variants.safetensors",
          "model_bf16.safetensors", "train.safetensors")
COMPACT = ("posids_P70.json", "names_videoscore_8b.json", "tokenizer.json")


def read(path):
    """name -> (dtype, shape, bytes)"""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    body = content[8 + size:]
    return {name: (info["dtype"], info["shape"], body[slice(*info["data_offsets"])])
            for name, info in header.items() if name != "__metadata__"}


def write(path, tensors):
    width = {"F64": 8, "I64": 8, "F32": 4, "BF16": 2, "BOOL": 1, "U8": 1}
    header, body = {}, b""
    for name, (dtype, shape, data) in sorted(tensors.items(), key=lambda item: (-width[item[1][0]], item[0])):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def mask_values(dtype, data):
    return struct.unpack({"I64": f"<{len(data) // 8}q", "U8": f"<{len(data)}B", "BOOL": f"<{len(data)}B"}[dtype], data)


def packed(tensors):
    """The same tensors, with pixel_values as pixel_code and pixel_level, and masks as booleans."""
    kept = {}
    for name, (dtype, shape, data) in tensors.items():
        if name.endswith(".pixel_attention_mask"):
            kept[name] = ("BOOL", shape, bytes(1 if value else 0 for value in mask_values(dtype, data)))
        elif name.endswith(".pixel_values"):
            prefix = name[:-len("pixel_values")]
            mask_dtype, _, mask = tensors[prefix + "pixel_attention_mask"]
            codes, table = pixel_codes(data, shape, mask_values(mask_dtype, mask))
            kept[prefix + "pixel_code"] = ("U8", shape, codes)
            kept[prefix + "pixel_level"] = ("F32", [256], table)
        else:
            kept[name] = (dtype, shape, data)
    return kept


def pixel_codes(data, shape, mask):
    """Padding (mask 0) is 0 in the data; its code is arbitrary and the reader multiplies by the mask."""
    plane = shape[3] * shape[4]
    words = [data[i:i + 4] for i in range(0, len(data), 4)]
    real = [mask[(i // (3 * plane)) * plane + i % plane] != 0 for i in range(len(words))]
    if any(word != b"\0\0\0\0" for word, is_real in zip(words, real) if not is_real):
        raise SystemExit("padding isn't zero")
    table = sorted({word for word, is_real in zip(words, real) if is_real})
    if len(table) > 256:
        raise SystemExit(f"{len(table)} pixel levels don't fit a byte")
    index = {word: i for i, word in enumerate(table)}
    codes = bytes(index[word] if is_real else 0 for word, is_real in zip(words, real))
    return codes, b"".join(table + [b"\0\0\0\0"] * (256 - len(table)))


def is_kept(name):
    return ".out.grad." not in name or name.startswith("c2_batch.")


def main(source, target):
    (target / "tiny").mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(source / name, target / name)
    for name in COMPACT:
        text = json.dumps(json.loads((source / name).read_text()), separators=(",", ":"), ensure_ascii=False)
        (target / name).write_text(text + "\n")
    for name in ("model_f32.safetensors", "model_f64.safetensors"):
        write(target / name, {key: value for key, value in packed(read(source / name)).items() if is_kept(key)})
    write(target / "image.safetensors", packed(read(source / "image.safetensors")))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
