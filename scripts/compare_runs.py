#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares two run directories: metrics.jsonl line by line, and every *.safetensors tensor by tensor, byte by byte.

    scripts/compare_runs.py --assert-equal runs/before runs/after

Prints every difference. Times differ between any two runs, so the keys of --ignore are left out of metrics.jsonl.
Exit status: 0 the runs are equal, or --assert-equal was not given; 1 they differ; 2 a run can't be read.
"""
import argparse
import json
import re
import struct
import sys
from pathlib import Path

TIMES = r"(^|_)(seconds|time|eta|wall)($|_)|_per_second$|_utilisation$|_ms$|(^|_)memory(_|$)"


class Unreadable(Exception):
    pass


def without_times(value, ignored):
    if isinstance(value, dict):
        return {k: without_times(v, ignored) for k, v in value.items() if not ignored.search(k)}
    if isinstance(value, list):
        return [without_times(v, ignored) for v in value]
    return value


def read_metrics(run, ignored):
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            lines.append(without_times(json.loads(line), ignored))
        except ValueError as error:
            raise Unreadable(f"{path}:{number}: not JSON: {error}") from error
    return lines


def read_tensors(path):
    """{name: (dtype, shape, bytes)}"""
    data = path.read_bytes()
    try:
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + size])
        return {
            name: (entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"
        }
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{path}: not a safetensors file: {error}") from error


def text_of(value):
    return json.dumps(value, sort_keys=True)   # NaN equals NaN as text


def compare_metrics(a, b, ignored):
    lines_a, lines_b = read_metrics(a, ignored), read_metrics(b, ignored)
    if len(lines_a) != len(lines_b):
        yield f"metrics.jsonl: {len(lines_a)} lines and {len(lines_b)} lines"
    for number, (left, right) in enumerate(zip(lines_a, lines_b), 1):
        if text_of(left) == text_of(right):
            continue
        keys = [k for k in sorted(left.keys() | right.keys()) if text_of(left.get(k)) != text_of(right.get(k))]
        yield f"metrics.jsonl:{number}: " + ", ".join(f"{k}: {text_of(left.get(k))} and {text_of(right.get(k))}" for k in keys)


def compare_tensors(name, a, b):
    tensors_a, tensors_b = read_tensors(a), read_tensors(b)
    for key in sorted(tensors_a.keys() ^ tensors_b.keys()):
        yield f"{name}: {key}: only in one run"
    for key in sorted(tensors_a.keys() & tensors_b.keys()):
        (dtype_a, shape_a, bytes_a), (dtype_b, shape_b, bytes_b) = tensors_a[key], tensors_b[key]
        if (dtype_a, shape_a) != (dtype_b, shape_b):
            yield f"{name}: {key}: {dtype_a} {shape_a} and {dtype_b} {shape_b}"
        elif bytes_a != bytes_b:
            first = next(i for i, (x, y) in enumerate(zip(bytes_a, bytes_b)) if x != y)
            yield f"{name}: {key}: values differ, first at byte {first} of {len(bytes_a)}"


def compare(a, b, ignored):
    yield from compare_metrics(a, b, ignored)
    names_a, names_b = ({p.relative_to(run).as_posix() for p in run.rglob("*.safetensors")} for run in (a, b))
    for name in sorted(names_a ^ names_b):
        yield f"{name}: only in {a if name in names_a else b}"
    for name in sorted(names_a & names_b):
        yield from compare_tensors(name, a / name, b / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--assert-equal", action="store_true", help="exit with status 1 when anything differs")
    parser.add_argument("--ignore", default=TIMES, metavar="REGEX", help="keys of metrics.jsonl to leave out (default: %(default)s)")
    options = parser.parse_args()
    try:
        for run in (options.a, options.b):
            if not (run / "metrics.jsonl").is_file() and not any(run.rglob("*.safetensors")):
                raise Unreadable(f"{run}: no metrics.jsonl and no *.safetensors: not a run directory")
        differences = list(compare(options.a, options.b, re.compile(options.ignore)))
    except (Unreadable, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for difference in differences:
        print(difference)
    print(f"{options.a} and {options.b}: " + (f"{len(differences)} differences" if differences else "equal"))
    return 1 if differences and options.assert_equal else 0


if __name__ == "__main__":
    sys.exit(main())
