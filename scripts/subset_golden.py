#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts the full reference data of the model down to what tests/golden keeps in the repository. Standard library only.

usage: scripts/subset_golden.py FULL_DIRECTORY tests/golden

Kept: all inputs (pixels as one byte and a table of levels, masks as booleans), every float64 intermediate of the cases that exercise it,
scores of every case and precision, all gradients of c2_batch. Nothing is recomputed: what is kept is bit for bit what the full data holds.
"""
import json
import pathlib
import shutil
import struct
import sys

TEXT_SIDE = ("connector_out", "merged_embeddings", "decoder_layer_", "pooled", "scores", "loss")
FLOAT32_OUTPUTS = ("real_image", "pool_index", "patch_attention_mask", "vision_position_ids", "pooled", "scores", "loss")


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


def inputs(tensors):
    kept = {}
    for name, (dtype, shape, data) in tensors.items():
        if name.endswith(".in.pixel_attention_mask"):
            values = struct.unpack(f"<{len(data) // 8}q", data)
            kept[name] = ("BOOL", shape, bytes(1 if value else 0 for value in values))
        elif name.endswith(".in.pixel_values"):
            case = name[:-len(".in.pixel_values")]
            mask = struct.unpack("<%dq" % (len(tensors[case + ".in.pixel_attention_mask"][2]) // 8),
                                 tensors[case + ".in.pixel_attention_mask"][2])
            codes, table = pixel_codes(data, shape, mask)
            kept[case + ".in.pixel_code"] = ("U8", shape, codes)
            kept[case + ".in.pixel_level"] = ("F32", [256], table)
        elif ".in." in name:
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


def keep_float32(name):
    key = name.split(".out.")[-1]
    return ".out." in name and (key in FLOAT32_OUTPUTS or name.startswith("c2_batch.out.grad."))


def keep_float64(name):
    case, key = name.split(".out.")
    if key.startswith("grad."):
        return case == "c2_batch"
    if key == "final_hidden":
        return False
    return case not in ("c3_leftpad", "c4_sliding6") or key.startswith(TEXT_SIDE)


def main(source, target):
    (target / "tiny").mkdir(parents=True, exist_ok=True)
    for name in ("tiny/config.json", "tiny/model.safetensors", "posids_P70.json", "names_videoscore_8b.json", "model_variants.safetensors"):
        shutil.copyfile(source / name, target / name)
    for name in ("posids_P70.json", "names_videoscore_8b.json"):
        (target / name).write_text(json.dumps(json.loads((source / name).read_text()), separators=(",", ":")) + "\n")
    full = read(source / "model_f32.safetensors")
    write(target / "model_f32.safetensors", inputs(full) | {n: t for n, t in full.items() if keep_float32(n)})
    write(target / "model_f64.safetensors", {n: t for n, t in read(source / "model_f64.safetensors").items() if keep_float64(n)})
    bfloat16 = read(source / "model_bf16.safetensors")
    write(target / "model_bf16.safetensors", {n: t for n, t in bfloat16.items() if n.endswith((".scores", ".pooled", ".loss"))})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
