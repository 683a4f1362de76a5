"""What the command line understands, and what ``--help`` says of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from .._run.streams import STDOUT
from .._version import __version__
from ..activations import NAMES as ACTIVATIONS
from ..objectives import OBJECTIVES, PROBES
from .conform_arguments import add_conform

Run = Callable[[Any], int]

EXAMPLES = """\
examples:
  npscore demo                                         the theorem, a fit, samples, one picture
  npscore fit data.csv --out model.npz                 exact implicit score matching on every column
  npscore fit data.csv --columns lat,long --out m.npz  two columns only
  npscore sample model.npz --n 1000 --out samples.csv --plot samples.png
  npscore fit data.csv --energy --out e.npz; npscore sample e.npz --mala --out samples.csv
  npscore score model.npz data.csv --out scores.csv
  npscore verify                                       exit code 1 if any check fails
  npscore conform run --cmd "./mine" --cases smoke     another implementation against certified numbers
"""


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line on stderr, exit code 2."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse's, which Python before 3.13 lets lose the value of ``--columns=--``."""
        args = sys.argv[1:] if args is None else list(args)
        for argument in args:
            if argument.startswith("--") and argument.endswith("=--"):
                self.error(f"argument {argument[:-3]}: expected a value, got '--'")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where more is to be read."""
        self.exit(2, f"npscore: {message} (see {self.prog} --help)\n")


def build_parser(runs: dict[str, Run]) -> argparse.ArgumentParser:
    """The whole command line; ``runs`` maps each command to the function that carries it out."""
    parser = OneLineParser(
        prog="npscore",
        description="Score matching in plain NumPy, with gradients derived by hand.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npscore {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    _add_demo(commands, runs["demo"])
    _add_verify(commands, runs["verify"])
    _add_fit(commands, runs["fit"])
    _add_sample(commands, runs["sample"])
    _add_score(commands, runs["score"])
    add_conform(commands, runs["conform"])
    return parser


def _output(path: str) -> str:
    """A file to write; ``-`` is standard output."""
    return STDOUT if path == "-" else path


def _command(commands: Any, name: str, run: Run, help: str, more: str = "") -> Any:
    parser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}. {more}".strip())
    parser.set_defaults(run=run)
    return parser


def _add_demo(commands: Any, run: Run) -> None:
    parser = _command(
        commands,
        "demo",
        run,
        "check the theorem, fit Old Faithful, sample it, draw it",
        "Writes demo.png, model.npz and samples.csv; takes well under 90 seconds.",
    )
    parser.add_argument(
        "--out", default="npscore-demo", metavar="DIR", help="folder to write to [%(default)s]"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of all random numbers [%(default)s]"
    )
    parser.add_argument("--steps", type=int, default=3000, metavar="N", help="training steps [%(default)s]")
    parser.add_argument("--n", type=int, default=2000, metavar="N", help="samples to draw [%(default)s]")


def _add_verify(commands: Any, run: Run) -> None:
    _command(
        commands,
        "verify",
        run,
        "check the theorem and every gradient on this machine, as a table",
        "Exit code 1 if any check fails.",
    )


def _add_fit(commands: Any, run: Run) -> None:
    parser = _command(
        commands,
        "fit",
        run,
        "fit a score to the columns of a CSV file",
        "Columns are standardised; a part of the rows is held out, and the parameters with the best held-out "
        "loss are kept. Ctrl-C keeps the best so far (exit code 130). "
        "Noise levels are in standard deviations of a column.",
    )
    parser.add_argument("data", metavar="DATA.csv", help="numbers, with or without a header line")
    add = parser.add_argument
    add(
        "--out",
        required=True,
        type=_output,
        metavar="MODEL.npz",
        help="the model file to write, - for standard output",
    )
    add("--columns", metavar="A,B", help="names or 1-based positions of the columns [all]")
    _add_objective(add)
    _add_optimizer(add)
    _add_course(add)


def _add_objective(add: Callable[..., Any]) -> None:
    """The network, the loss, and the noise and probes in it."""
    add(
        "--objective",
        choices=OBJECTIVES,
        default="ism",
        help="ism: exact trace; ssm, ssm-vr: random projections; dsm: denoising [%(default)s]",
    )
    add("--hidden", default="64,64", metavar="H,H", help="hidden widths, '' for none [%(default)s]")
    add("--activation", metavar="NAME", help=f"{', '.join(ACTIVATIONS)} [tanh; with --energy softplus]")
    add(
        "--energy",
        action="store_true",
        help="learn an energy, whose gradient is the score: what npscore sample --mala needs",
    )
    add("--sigma", type=float, metavar="SD", help="noise of dsm, needed there and nowhere else, e.g. 0.2")
    add(
        "--jitter",
        default="auto",
        metavar="SD",
        help="noise against sharpening onto the rows; auto: 0.3 n^(-1/(d+4)), more for rounded columns [auto]",
    )
    add("--probes", type=int, default=1, metavar="N", help="probes a row, for ssm and ssm-vr [%(default)s]")
    add("--probe", choices=PROBES, default="rademacher", help="the law of the probes [%(default)s]")


def _add_optimizer(add: Callable[..., Any]) -> None:
    """How the loss is minimised."""
    add("--steps", type=int, default=3000, metavar="N", help="training steps, at most [%(default)s]")
    add("--batch-size", type=int, default=128, metavar="N", help="rows in a step [%(default)s]")
    add(
        "--learning-rate",
        type=float,
        default=1e-3,
        metavar="R",
        help="falls to 0 along a cosine [%(default)s]",
    )
    add(
        "--optimizer",
        choices=("adam", "lbfgs"),
        default="adam",
        help="lbfgs: all rows in every step [%(default)s]",
    )
    add(
        "--weight-decay",
        type=float,
        default=0.0,
        metavar="R",
        help="decoupled from the gradient [%(default)s]",
    )
    add("--ema", type=float, metavar="DECAY", help="average the weights, with e.g. 0.99 [off]")


def _add_course(add: Callable[..., Any]) -> None:
    """Held-out rows, random numbers and the checkpoint."""
    add(
        "--validation",
        type=float,
        default=0.2,
        metavar="F",
        help="fraction of the rows held out [%(default)s]",
    )
    add(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N held-out losses (of 100) without a better one [never]",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of all random numbers [%(default)s]")
    add("--checkpoint", metavar="FILE", help="save the state there every tenth of the steps")
    add("--resume", action="store_true", help="go on from --checkpoint")


def _add_sample(commands: Any, run: Run) -> None:
    parser = _command(
        commands,
        "sample",
        run,
        "draw samples from a model file by Langevin, or by MALA",
        "They come back in the units and with the header of the data the model was fitted to.",
    )
    parser.add_argument("model", metavar="MODEL.npz", help="a file that npscore fit wrote")
    parser.add_argument(
        "--n", type=int, default=1000, metavar="N", help="samples, one chain each [%(default)s]"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=_output,
        metavar="SAMPLES.csv",
        help="the CSV file to write, - for standard output",
    )
    parser.add_argument(
        "--mala",
        action="store_true",
        help="accept or reject each step, which removes its bias; for a model of npscore fit --energy",
    )
    parser.add_argument(
        "--start", metavar="DATA.csv", help="start chains at these rows, in their proportions [N(0, I)]"
    )
    parser.add_argument("--plot", type=_output, metavar="FILE.png", help="a picture of the samples too")
    parser.add_argument(
        "--step",
        type=float,
        help="step, standard units squared [from the model's curvature; with --mala tuned]",
    )
    parser.add_argument("--n-steps", type=int, metavar="N", help="steps [5 / step; with --mala 10 / step]")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of all random numbers [%(default)s]"
    )


def _add_score(commands: Any, run: Run) -> None:
    parser = _command(
        commands,
        "score",
        run,
        "evaluate a model's score, grad log p, at the rows of a CSV file",
        "In the user's units: one column d_logp/d_NAME for each column of the model.",
    )
    parser.add_argument("model", metavar="MODEL.npz", help="a file that npscore fit wrote")
    parser.add_argument("data", metavar="DATA.csv", help="numbers, with the columns of the model")
    parser.add_argument(
        "--out", type=_output, metavar="SCORES.csv", help="the CSV file to write [standard output]"
    )
