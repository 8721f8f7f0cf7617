#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what SciPy says about Spearman's rank correlation into tests/eval/scipy_values.json.

Needs numpy and scipy, which nothing else here does: run it in an environment of its own. Cases are small, with ties, constants, NaN and
long ones, so that the ranks, the correlation and the p-value down to 1e-200 are held to numbers from outside. NaN is written as null.
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


def main():
    warnings.simplefilter("ignore")
    null = lambda x: None if math.isnan(x) else float(x)  # noqa: E731
    text = lambda x: {math.inf: "inf", -math.inf: "-inf"}.get(x, null(x))  # noqa: E731
    rows = []
    for name, a, b in cases():
        result = stats.spearmanr(a, b)
        ranks = None if any(map(math.isnan, a)) or len(a) > 100 else stats.rankdata(a).tolist()
        rows.append({"name": name, "a": [text(x) for x in a], "b": [text(x) for x in b], "ranks_a": ranks,
                     "r": null(result.statistic), "p": null(result.pvalue)})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    versions = f'"scipy": "{scipy.__version__}", "numpy": "{numpy.__version__}"'
    OUT.write_text(f'{{{versions}, "cases": [\n{lines}\n]}}\n')
    print(f"{OUT.name}: {len(rows)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
