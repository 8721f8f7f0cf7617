#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that compare with the reference and puts their worst errors into docs/fidelity.md. Standard library only.

usage: scripts/fidelity_table.py [--build build/ci] [--write docs/fidelity.md]

Without --write the table goes to stdout. Tests print lines "fidelity | comparison | quantity | worst | allowed" (tests/support/fidelity.h).
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

# (program below the build folder, filter)
RUNS = [("src/model/mvrm_model_test", "Parity.*:PatchPositions.*"), ("tests/parity/mvrm_parity_test", "TrainParity.*:RoundTrip.*"),
        ("src/preprocess/mvrm_preprocess_test", "*"), ("src/text/mvrm_text_test", "*")]
BEGIN, END = "<!-- BEGIN MEASURED -->", "<!-- END MEASURED -->"


def measure(build):
    rows = []
    for program, tests in RUNS:
        command = [str(build / program), f"--gtest_filter={tests}"]
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
        outcome = subprocess.run(command, capture_output=True, text=True, env=environment)
        if outcome.returncode != 0:
            sys.exit(f"fidelity_table: {' '.join(command)} failed:\n{outcome.stdout[-2000:]}")
        for skipped in sorted(set(re.findall(r"\[  SKIPPED \] (\S+)", outcome.stdout))):
            print(f"fidelity_table: skipped: {skipped}", file=sys.stderr)
        lines = [line.split(" | ")[1:] for line in outcome.stdout.splitlines() if line.startswith("fidelity | ")]
        rows += [(pathlib.Path(program).name, *line) for line in lines]
    return rows


def markdown(rows):
    text = ["| comparison | quantity | worst | allowed | test program |", "|---|---|---|---|---|"]
    for program, comparison, quantity, worst, allowed in rows:
        exact = float(allowed) == 0
        text.append(f"| {comparison} | {quantity} | {'0' if exact and float(worst) == 0 else worst} | {'0 (bit for bit)' if exact else allowed} | `{program}` |")
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/ci"))
    parser.add_argument("--write", type=pathlib.Path)
    options = parser.parse_args()
    table = markdown(measure(options.build))
    if not options.write:
        print(table)
        return
    text = options.write.read_text()
    before, rest = text.split(BEGIN)
    options.write.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
