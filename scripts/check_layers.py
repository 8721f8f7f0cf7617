#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include to the order of the stages.

The order is the list in the root CMakeLists.txt; what a stage links is DEPS in src/<stage>/CMakeLists.txt. A stage may include only
stages that it links, a stage may link only stages before it, no header may include itself in a circle, and a private header of one
stage is not included by another. Tests may include whatever their stage links directly or through others. Prints counts, exits 1 on
any violation.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
PLUGIN_DEPS = ["core", "dist"]  # src/cuda is a plug-in, not a stage: it sees the communicator and nothing else


def stage_order():
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"foreach\(stage ([^)]*)\)", text)[1].split()


def linked_stages(stage):
    text = re.sub(r"#.*", "", (ROOT / "src" / stage / "CMakeLists.txt").read_text())
    call = re.search(r"mvrm_add_stage\(([^)]*)\)", text)[1].split()
    if "DEPS" not in call:
        return []
    deps = call[call.index("DEPS") + 1:]
    end = next((i for i, word in enumerate(deps) if word.isupper()), len(deps))
    return deps[:end]


def with_indirect(deps):
    """All stages reached from each stage; `deps` has no circle once links are checked to go backwards only."""
    reached = {}
    for stage in deps:
        reached[stage] = set(deps[stage]).union(*(reached.get(d, set()) for d in deps[stage]))
    return reached


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cpp"):
                yield path


def includes(path):
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield match[1], match[2], text.count("\n", 0, match.start(2)) + 1


def check_links(order, deps):
    problems = []
    for stage in order:
        for dep in deps[stage]:
            if dep not in order:
                problems.append(f"src/{stage}/CMakeLists.txt: DEPS names {dep}, which is no stage")
            elif order.index(dep) >= order.index(stage):
                problems.append(f"src/{stage}/CMakeLists.txt: backward edge: {stage} links {dep}, which comes later")
    return problems


def allowed_stages(relative, order, deps, reached):
    """Stages whose headers this file may include, or None for no limit."""
    top, stage = relative.parts[0], relative.parts[2 if relative.parts[0] == "include" else 1]
    if top == "apps" or stage not in order:
        return set(PLUGIN_DEPS) if (top, stage) == ("src", "cuda") else None
    return {stage} | (reached[stage] if top == "tests" else set(deps[stage]))


def check_includes(order, deps):
    problems, edges, count = [], set(), 0
    reached = with_indirect(deps)
    for path in sources("include", "src", "tests", "apps"):
        relative = path.relative_to(ROOT)
        allowed = allowed_stages(relative, order, deps, reached)
        for quote, name, line in includes(path):
            where = f"{relative}:{line}"
            parts = name.split("/")
            if parts[0] == "mvrm" and len(parts) == 3:
                count += 1
                edges.add((relative.parts[-2], parts[1]))
                if not (ROOT / "include" / name).is_file():
                    problems.append(f"{where}: {name} does not exist")
                if allowed is not None and parts[1] not in allowed:
                    kind = "does not link" if parts[1] in order else "can't include"
                    problems.append(f"{where}: includes {name}, but {relative.parts[-2]} {kind} {parts[1]}")
            elif quote == '"' and relative.parts[0] in ("src", "include") and not (path.parent / name).is_file():
                problems.append(f"{where}: {name} is not beside this file: private headers stay in their stage")
            elif quote == '"' and ".." in parts:
                problems.append(f"{where}: {name} reaches into another folder")
    return problems, len(edges), count


def find_circle():
    graph = {}
    for path in sources("include"):
        names = [name for _, name, _ in includes(path) if name.startswith("mvrm/")]
        graph[path.relative_to(ROOT / "include").as_posix()] = names
    done, trail = set(), []

    def visit(name):
        if name in trail:
            return trail[trail.index(name):] + [name]
        if name in done or name not in graph:
            return None
        trail.append(name)
        circle = next(filter(None, map(visit, graph[name])), None)
        trail.pop()
        done.add(name)
        return circle

    return next(filter(None, map(visit, sorted(graph))), None)


def main():
    order = stage_order()
    deps = {stage: linked_stages(stage) for stage in order}
    problems = check_links(order, deps)
    include_problems, edges, count = check_includes(order, deps)
    problems += include_problems
    circle = find_circle()
    if circle:
        problems.append("headers include each other in a circle: " + " -> ".join(circle))
    for problem in problems:
        print("error: " + problem, file=sys.stderr)
    links = sum(map(len, deps.values()))
    print(f"layers: {len(order)} stages, {links} links, {count} includes over {edges} stage pairs, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
