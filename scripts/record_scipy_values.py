#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what SciPy says about rank and linear correlation into tests/eval/scipy_values.json.

Needs numpy and scipy, which nothing else here does: run it in an environment of its own. `cases` are chosen by hand and some are long;
`random` are 200 short ones of ten kinds: ties in one column or both, NaN, infinities, huge, tiny and denormal values, constants.
So ranks, coefficients and p-values down to 1e-200 are held to numbers from outside. NaN is written as null, infinities as text.
"""
import json
import math
import sys
import warnings
from pathlib import Path

import numpy
import scipy
from scipy import stats

OUT = Path(__file__).resolve().parent.parent / "tests" / "eval" / "scipy_values.json"
NAN = math.nan


def cases():
    rng = numpy.random.default_rng(7)
    yield "two pairs", [1.0, 2.0], [2.0, 1.0]
    yield "three pairs, rising", [1.0, 2.0, 3.0], [10.0, 20.0, 30.0]
    yield "three pairs, falling", [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    yield "three pairs, mixed", [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]
    yield "four pairs, one tie", [1.0, 2.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]
    yield "all tied on the left", [2.0, 2.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0]
    yield "all tied on the right", [1.0, 2.0, 3.0, 4.0], [3.0, 3.0, 3.0, 3.0]
    yield "NaN on the left", [1.0, NAN, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]
    yield "NaN on the right", [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, NAN, 4.0]
    yield "infinities", [-math.inf, 0.0, 1.0, math.inf, 2.0], [1.0, 2.0, 3.0, 4.0, 0.0]
    yield "signed zeros tie", [-0.0, 0.0, 1.0, 2.0], [4.0, 3.0, 2.0, 1.0]
    yield "rewards against labels 1 to 4", [1.898, 1.5, 2.953, 2.438, 1.648, 2.0], [2.0, 2.0, 3.0, 3.0, 1.0, 2.0]
    yield "no correlation", [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 1.0, 3.0]
    yield "one far outlier", [1.0, 2.0, 3.0, 4.0, 1e300], [5.0, 1.0, 2.0, 3.0, 4.0]
    for n in (5, 10, 41, 100, 680):
        label = rng.integers(1, 5, n).astype(float)
        yield f"{n} rewards, labels with ties", numpy.round(label + rng.normal(0, 1, n), 1).tolist(), label.tolist()
    yield "500 pairs, almost equal", numpy.arange(500.0).tolist(), (numpy.arange(500) + rng.normal(0, 20, 500)).round(3).tolist()
    yield "2000 pairs, independent", rng.normal(size=2000).round(4).tolist(), rng.normal(size=2000).round(4).tolist()
    yield "40 pairs, one inversion", numpy.arange(40.0).tolist(), [1.0, 0.0] + numpy.arange(2.0, 40).tolist()
    yield "40 pairs, falling", numpy.arange(40.0).tolist(), numpy.arange(40.0)[::-1].tolist()


def column(rng, kind, n):
    if kind == "labels":
        return rng.integers(1, 5, n).astype(float)
    if kind == "rewards":
        return rng.normal(2.5, 1, n).round(3)
    if kind == "grid":  # rewards on the grid of bfloat16
        return (rng.normal(2.5, 0.5, n) * 64).round() / 64
    if kind == "huge":
        return (rng.normal(0, 1, n).round(2) * 10.0 ** rng.integers(250, 301, n)).astype(float)
    if kind == "tiny":
        return rng.integers(-3, 4, n) * 5e-324
    if kind == "wide":
        return rng.choice([-1.0, 1.0], n) * 10.0 ** rng.integers(-12, 13, n)
    if kind == "infinite":
        return rng.choice([-math.inf, math.inf, 0.0, -0.0, 1.0, 2.0, 3.5], n)
    if kind == "missing":
        return rng.choice([NAN, 1.0, 2.0, 3.0, 4.0], n)
    if kind == "constant":
        return numpy.full(n, 0.1)
    return rng.permutation(n).astype(float)


KINDS = ["labels", "rewards", "grid", "huge", "tiny", "wide", "infinite", "missing", "constant", "permutation"]


def random_cases():
    rng = numpy.random.default_rng(2024)
    for i in range(200):
        n = int(rng.integers(2, 40))
        kinds = KINDS[i % 10], KINDS[int(rng.integers(0, 10)) if i % 3 else i // 10 % 3]
        a, b = column(rng, kinds[0], n), column(rng, kinds[1], n)
        if i % 4 == 0 and kinds[0] in ("rewards", "grid", "permutation"):
            b = (a + rng.normal(0, 0.3, n)).round(2)
        yield f"{i}: {n} {kinds[0]}, {kinds[1]}", a.tolist(), b.tolist()


def null(x):
    return None if math.isnan(x) else float(x)


def text(x):
    return {math.inf: "inf", -math.inf: "-inf"}.get(x, null(x))


def record(name, a, b):
    ranks = None if any(map(math.isnan, a)) or len(a) > 100 else stats.rankdata(a).tolist()
    row = {"name": name, "a": [text(x) for x in a], "b": [text(x) for x in b], "ranks_a": ranks}
    for key, function in ("spearman", stats.spearmanr), ("pearson", stats.pearsonr), ("kendall", stats.kendalltau):
        result = function(a, b)
        row[key] = [null(result.statistic), null(result.pvalue)]
    return row


def main():
    warnings.simplefilter("ignore")
    blocks = []
    for key, source in ("cases", cases()), ("random", random_cases()):
        blocks.append(f'"{key}": [\n' + ",\n".join(json.dumps(record(*one), separators=(",", ":")) for one in source) + "\n]")
    versions = f'"scipy": "{scipy.__version__}", "numpy": "{numpy.__version__}"'
    OUT.write_text("{" + versions + ", " + ",\n".join(blocks) + "}\n")
    print(f"{OUT.name}: {OUT.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
