"""What every figure script shares: a quick mode, and the numbers written beside the picture."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from npscore._run.atomic import atomic_write
from npscore.plots import save_figure


def options(description: str, **more: dict[str, Any]) -> argparse.Namespace:
    """``--quick`` runs everything small, for a smoke test; ``--out`` is where the files go; ``more`` by name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick", action="store_true", help="small and fast: the picture is not the committed one"
    )
    beside = Path(sys.argv[0]).resolve().parent
    parser.add_argument("--out", type=Path, default=beside, help="folder to write to [beside the script]")
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def write(figure: Any, numbers: dict[str, Any], out: Path, name: str) -> None:
    """NAME.png and NAME.json, the numbers that the picture shows."""
    out.mkdir(parents=True, exist_ok=True)
    save_figure(figure, out / f"{name}.png", dpi=80)
    write_numbers(numbers, out, name)
    print(f"{name}: {numbers.get('claim', '')}")


def write_numbers(numbers: dict[str, Any], out: Path, name: str) -> None:
    """NAME.json alone: what a long run has so far."""
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / f"{name}.json", "w") as file:
        json.dump(numbers, file, indent=1)
        file.write("\n")
