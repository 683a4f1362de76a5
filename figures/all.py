"""All figures, one after the other: ``python figures/all.py [--quick] [--out DIR]``, the options of each script."""

from __future__ import annotations

import runpy
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(path for path in HERE.glob("*/*.py") if not path.stem.startswith("_"))


def main() -> int:
    """Run every script, also after one has failed; the exit code is the number that failed."""
    options, failed = sys.argv[1:], []
    sys.path.insert(0, str(HERE.parent))
    if {"-h", "--help"} & set(options):
        print(__doc__)
        options = ["--help"]
    for number, script in enumerate(SCRIPTS, start=1):
        print(f"[{number}/{len(SCRIPTS)}] {script.name}", flush=True)
        sys.argv = [str(script), *options]
        started = time.perf_counter()
        try:
            runpy.run_module(
                f"figures.{script.parent.name}.{script.stem}", run_name="__main__", alter_sys=True
            )
        except Exception:
            traceback.print_exc()
            failed.append(script.name)
        print(f"    {time.perf_counter() - started:.1f} s", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
