"""Writes the conformance files: ``python tests/oracle/generate.py [FAMILY …] [--force] [--check]``.

The cases of a family are made side by side on all cores: a quarter of an hour on two. A family whose file exists is
left alone unless forced, so that a broken run goes on where it stopped; the manifest is made last, from the files.
``--check`` writes nothing and fails where a byte would differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this folder has a ``numbers`` that is not the standard library's
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from oracle import (
    cases_activations,
    cases_chains,
    cases_densities,
    cases_edge,
    cases_invalid,
    cases_networks,
    cases_populations,
    certify,
)

TARGET = Path(__file__).resolve().parents[2] / "npscore" / "conformance" / "v1"
ABOUT = {
    "activations": "Activations and their first three derivatives, from 0 to the far tails.",
    "rational": "Networks with rational activations, solved exactly in rational numbers.",
    "esm": "Explicit score matching on multilayer perceptrons of 0 to 4 hidden layers.",
    "ism": "Implicit score matching, the trace exact, on multilayer perceptrons of 0 to 4 hidden layers.",
    "ssm": "Sliced score matching on multilayer perceptrons of 0 to 4 hidden layers.",
    "ssm_vr": "Sliced score matching with reduced variance on multilayer perceptrons of 0 to 4 hidden layers.",
    "dsm": "Denoising score matching on multilayer perceptrons of 0 to 4 hidden layers.",
    "densities": "log p, score and divergence of densities, and of densities with noise added.",
    "population": "Expectations of the objectives of a linear score under a Gaussian, and the constant of the theorem.",
    "samplers": "Gradient ascent and Langevin with given noise, 1 and 20 steps.",
    "laws": "The exact law of Langevin on a Gaussian.",
    "edge": "n, d, m or a width of 1 or equal to each other, zero weights, points of symmetry.",
    "invalid": "Inputs that must be refused, and the kind of error.",
}

OWN = {
    "activations": cases_activations,
    "densities": cases_densities,
    "population": cases_populations,
    "edge": cases_edge,
    "invalid": cases_invalid,
}


def builders(family: str) -> dict[str, Callable[[], dict[str, Any]]]:
    """How to make each case of a family, by id, in the order of the file."""
    if family in ("samplers", "laws"):
        return cases_chains.builders(family)
    return OWN[family].builders() if family in OWN else cases_networks.builders(family)


def family_text(family: str, progress: bool = False) -> str:
    """The text of a family's file."""
    records, start = [], time.perf_counter()
    made = builders(family)
    with ProcessPoolExecutor() as pool:
        for record in pool.map(_made, made.values()):
            records.append(record)
            if progress:
                said = f"{family}: {len(records)} of {len(made)} cases, {time.perf_counter() - start:.0f} s"
                print(f"\r{said} ", end="", file=sys.stderr)
    if progress:
        print(file=sys.stderr)
    return certify.family_text(family, ABOUT[family], smoke(records))


def _made(build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return build()


def smoke(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first case of each kind flagged "smoke"."""
    seen = set()
    for record in records:
        kind = (record["operation"], record["difficulty"], record["model"].get("density"))
        if record["family"] == "activations":
            kind += (record["model"]["activation"],)
        record["flags"] = [*["smoke"] * (kind not in seen), *record["flags"]]
        seen.add(kind)
    return records


def manifest_text(directory: Path = TARGET) -> str:
    """Counts and hashes of the files there."""
    files = []
    for family in ABOUT:
        raw = (directory / f"{family}.json").read_bytes()
        cases = json.loads(raw)["cases"]
        numbers = sum(len(block["decimal"]) for case in cases for block in case.get("output", {}).values())
        digest = hashlib.sha256(raw).hexdigest()
        entry = {"family": family, "file": f"{family}.json", "cases": len(cases), "numbers": numbers}
        files.append({**entry, "bytes": len(raw), "sha256": digest})
    totals = {name: sum(entry[name] for entry in files) for name in ("cases", "numbers", "bytes")}
    head = {"format": "npscore-conformance", "version": 1, **totals, "files": files}
    return json.dumps(head, indent=1) + "\n"


def differing(families: Iterable[str]) -> list[str]:
    """The families whose file is not, byte for byte, what would be written."""
    return [f for f in families if (TARGET / f"{f}.json").read_text("utf-8") != family_text(f, progress=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(ABOUT))
    parser.add_argument("--force", action="store_true", help="write a family anew even if its file exists")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    families = arguments.families or list(ABOUT)
    if unknown := set(families) - set(ABOUT):
        parser.error(f"FAMILY must be one of {', '.join(ABOUT)}, got {', '.join(sorted(unknown))}")
    if arguments.check:
        wrong = differing(families)
        print("differing: " + ", ".join(wrong) if wrong else "identical")
        return int(bool(wrong))
    for family in families:
        path = TARGET / f"{family}.json"
        if arguments.force or not path.exists():
            path.write_text(family_text(family, progress=True), "utf-8", newline="\n")
    if all((TARGET / f"{family}.json").exists() for family in ABOUT):
        (TARGET / "manifest.json").write_text(manifest_text(), "utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
