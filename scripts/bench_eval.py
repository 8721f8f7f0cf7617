#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Spearman correlations and their bootstrap intervals: mvrm against SciPy, both in one run, taking turns.

Needs numpy and scipy, which nothing else here does: run it in an environment of its own. The C++ side is build/ci/src/eval/mvrm_eval_bench
(target mvrm_eval_bench). First both sides must give the same numbers: correlations, p-values, and the interval of a small bootstrap over
the very same resamples. Then rounds alternate and medians are printed as a Markdown table. SciPy's bootstrap of 10,000 resamples takes
minutes, so it is timed over fewer and extrapolated; its lean form is used: ranks and one product, no p-value in a resample.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
import scipy
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
MASK = (1 << 64) - 1


def mix(x):
    """SplitMix64's finaliser on an array of uint64, as core/random.h."""
    x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return x ^ (x >> numpy.uint64(31))


def mix_one(x):
    return int(mix(numpy.array([x & MASK], numpy.uint64))[0])


def combine(a, b):
    return mix_one(a ^ ((mix_one(b) + 0x9E3779B97F4A7C15 + (a << 6) + (a >> 2)) & MASK))


def hash_text(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return mix_one(h)


def resample(b, n, seed=42):
    """The rows of resample b, as mvrm draws them."""
    key = combine(mix_one(seed), combine(hash_text("bootstrap"), b))
    counter = numpy.arange(1, n + 1, dtype=numpy.uint64)
    bits = mix(numpy.uint64(key) + numpy.uint64(0x9E3779B97F4A7C15) * counter)
    return ((bits >> numpy.uint64(11)).astype(float) * 2.0**-53 * n).astype(numpy.int64)


def make_table(n, k, continuous):
    rng = numpy.random.default_rng(1)
    label = rng.integers(1, 5, (k, n)).astype(float)
    reward = label + rng.normal(0, 1.5, (k, n))
    return (reward.astype(numpy.float32).astype(float) if continuous else numpy.round(reward * 64) / 64), label


def correlation(x, y):
    x, y = stats.rankdata(x), stats.rankdata(y)
    x -= x.mean()
    y -= y.mean()
    return (x @ y) / numpy.sqrt((x @ x) * (y @ y))


class Program:
    def __init__(self, reward, label):
        self.file = tempfile.NamedTemporaryFile(suffix=".table")
        numpy.array([reward.shape[1], reward.shape[0]], numpy.int64).tofile(self.file)
        reward.tofile(self.file)
        label.tofile(self.file)
        self.file.flush()
        self.process = subprocess.Popen([ROOT / "build/ci/src/eval/mvrm_eval_bench", self.file.name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def timed(function):
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def scipy_spearman(reward, label):
    return [stats.spearmanr(x, y) for x, y in zip(reward, label)]


def scipy_bootstrap(reward, label, resamples, rng):
    n = reward.shape[1]
    draws = numpy.empty((resamples, len(reward)))
    for b in range(resamples):
        rows = rng.integers(0, n, n)
        draws[b] = [correlation(x[rows], y[rows]) for x, y in zip(reward, label)]
    return numpy.percentile(draws, [2.5, 97.5], axis=0)


def check_equal(program, reward, label, resamples=20):
    ours, theirs = program.ask("spearman"), scipy_spearman(reward, label)
    numpy.testing.assert_allclose(ours["r"], [x.statistic for x in theirs], rtol=1e-12)
    numpy.testing.assert_allclose(ours["p"], [x.pvalue for x in theirs], rtol=1e-8)
    draws = []
    for b in range(resamples):
        rows = resample(b, reward.shape[1])
        draws.append([correlation(x[rows], y[rows]) for x, y in zip(reward, label)])
    ours = program.ask(f"bootstrap {resamples} 2")
    low, high = numpy.percentile(draws, [2.5, 97.5], axis=0)
    numpy.testing.assert_allclose(ours["low"], low, rtol=1e-11)
    numpy.testing.assert_allclose(ours["high"], high, rtol=1e-11)


def measure(name, reward, label, options):
    program = Program(reward, label)
    check_equal(program, reward, label)
    rng = numpy.random.default_rng(5)
    ours, theirs, one, two, lean = [], [], [], [], []
    for _ in range(options.rounds):
        ours.append(program.ask("spearman")["seconds"])
        theirs.append(timed(lambda: scipy_spearman(reward, label))[0])
    factor = options.resamples / options.scipy_resamples
    for _ in range(options.bootstrap_rounds):
        two.append(program.ask(f"bootstrap {options.resamples} {os.cpu_count()}")["seconds"])
        lean.append(timed(lambda: scipy_bootstrap(reward, label, options.scipy_resamples, rng))[0] * factor)
        one.append(program.ask(f"bootstrap {options.resamples} 1")["seconds"])
    m = statistics.median
    rows = [("Spearman with p-values", m(ours) * 1e3, m(theirs) * 1e3, "ms"),
            (f"{options.resamples} resamples, {os.cpu_count()} threads", m(two), m(lean), "s"),
            (f"{options.resamples} resamples, 1 thread", m(one), m(lean), "s")]
    for what, us, them, unit in rows:
        print(f"| {what} | {name} | {us:.2f} {unit} | {them:.1f} {unit} | {them / us:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=36900)
    parser.add_argument("--columns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--bootstrap-rounds", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=10000)
    parser.add_argument("--scipy-resamples", type=int, default=100)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {numpy.__version__}, scipy {scipy.__version__}, {os.cpu_count()} cores; "
          f"{options.rows} rows x {options.columns} columns; medians of {options.rounds} and {options.bootstrap_rounds} rounds; "
          f"SciPy's bootstrap timed over {options.scipy_resamples} resamples and extrapolated\n")
    print("| what | rewards | mvrm | SciPy | ratio |\n|---|---|---|---|---|")
    for name, continuous in (("on the bfloat16 grid (many ties)", False), ("float32 (few ties)", True)):
        measure(name, *make_table(options.rows, options.columns, continuous), options)


if __name__ == "__main__":
    main()
