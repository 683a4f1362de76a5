"""What ``npscore conform`` understands, and what its ``--help`` says."""

from __future__ import annotations

import argparse
from typing import Any

DTYPES = ("float64", "float32")
FORMATS = ("text", "markdown", "json", "junit")

EXAMPLES = """\
examples:
  npscore conform run --cmd "./mine" --dtype float64              every certified case, one process, JSON lines
  npscore conform run --cmd "node mine.mjs" --cases smoke         a few seconds
  npscore conform run --cmd "./mine" --format junit --output conform.xml
  npscore conform export asked/                                   compute anywhere …
  npscore conform grade results.jsonl --dtype float64             … and grade the results
  npscore conform list; npscore conform show ism-0001
exit codes: 0 all that was answered is right, 1 something is not, 2 the check could not be made
"""


def add_conform(commands: Any, run: Any) -> None:
    """Add ``conform`` and its own commands; ``run`` carries out all of them."""
    about = "check another implementation, in any language, against certified numbers"
    parser = commands.add_parser(
        "conform",
        help=about,
        description=f"{about[0].upper()}{about[1:]}. GUIDE.md, which export writes, says how.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    inner = parser.add_subparsers(title="commands", metavar="command", dest="conform", required=True)
    _add_run(inner)
    _add_export(inner)
    _add_grade(inner)
    show = inner.add_parser("list", help="the cases, one a line: id, operation, what it is")
    _cases(show, default="all,invalid")
    show = inner.add_parser("show", help="one case in full, as JSON: what is asked and what is certified")
    show.add_argument("id", metavar="ID", help="e.g. ism-0001")


def _add_run(commands: Any) -> None:
    parser = commands.add_parser("run", help="put the cases to a program over standard input and output")
    parser.add_argument("--cmd", required=True, metavar="CMD", help="the program and its arguments; no shell")
    _dtype(parser)
    _cases(parser)
    _report(parser)
    add = parser.add_argument
    add("--timeout", type=float, default=10.0, metavar="S", help="seconds for one case [%(default)g]")
    add("--start-timeout", type=float, default=60.0, metavar="S", help="seconds until ready [%(default)g]")


def _add_export(commands: Any) -> None:
    parser = commands.add_parser("export", help="write the cases, without their answers, to a new folder")
    parser.add_argument("folder", metavar="DIR", help="a new or empty folder")
    _dtype(parser)
    _cases(parser)


def _add_grade(commands: Any) -> None:
    parser = commands.add_parser("grade", help="grade results that were computed elsewhere")
    parser.add_argument("results", metavar="RESULTS", help="results.json, or a program's replies, one a line")
    _dtype(parser)
    _cases(parser, default="all,invalid")
    _report(parser)


def _dtype(parser: Any) -> None:
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float64", help="the type computed in [%(default)s]"
    )


def _cases(parser: Any, default: str = "all") -> None:
    parser.add_argument(
        "--cases",
        default=default,
        metavar="NAMES",
        help="all, smoke, families or ids, with commas; invalid input only where named [%(default)s]",
    )


def _report(parser: Any) -> None:
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the report [%(default)s]")
    parser.add_argument("--output", metavar="FILE", help="where to write the report [standard output]")
    parser.add_argument(
        "--declare",
        action="append",
        default=[],
        metavar="OPERATION=CONVENTION",
        help="a convention that differs on purpose, e.g. dsm=twice, *=sum; may be repeated",
    )
