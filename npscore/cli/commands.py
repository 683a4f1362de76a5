"""The command line: ``npscore demo | verify | fit | sample | score | conform``.

Errors of the user end with one line on stderr and exit code 2; a check that fails ends with exit code 1.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Optional

from .._run.command import INTERRUPTED
from .arguments import build_parser
from .outputs import check_outputs, messages_beside

#: What a library argument is called on the command line.
FLAGS = {
    "fraction": "--validation",
    "rng": "--seed",
    "sizes": "--hidden",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "weight_decay": "--weight-decay",
    "n_probes": "--probes",
    "n_steps": "--n-steps",
    "n": "--n",
    "path": "--plot",
    **{name: f"--{name}" for name in ("sigma", "jitter", "steps", "step", "activation", "patience", "ema")},
    **{name: f"--{name}" for name in ("checkpoint", "resume", "hidden", "mala")},
}


#: What else in a library's message has other words on the command line.
WORDS = {
    "must be None unless objective is": "must be left out unless --objective is",
    "unless resume=True": "unless there is --resume",
    "where energy is True": "with --energy",
    "mala must be False for": "mala must be left out for",
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command; returns the exit code."""
    try:
        options = build_parser(COMMANDS).parse_args(arguments)
        with warnings.catch_warnings(), messages_beside(options):
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            return options.run(options)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left: nothing more to say, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError, ArithmeticError, ImportError, MemoryError) as error:
        return _complain(_one_line(error), 2)


def _demo(options: Any) -> int:
    from .demo import run_demo

    run_demo(options.out, seed=options.seed, steps=options.steps, n_samples=options.n, say=_say)
    return 0


def _verify(options: Any) -> int:
    from .verify import run_checks

    failures, count = 0, 0
    _say(f"{'check':<76} {'measured':>9} {'bound':>8}")
    for check in run_checks():
        count += 1
        failures += not check.passed
        _say(
            f"{check.claim:<76} {check.measured:9.1e} {check.bound:8.0e}  {'ok' if check.passed else 'FAILED'}"
        )
    _say(f"{count - failures} of {count} checks passed")
    return 1 if failures else 0


def _fit(options: Any) -> int:
    from ..datasets import read_csv
    from ..density.table import compare, fit_table
    from ..storage import save

    check_outputs([options.data], out=options.out, checkpoint=options.checkpoint)
    _check_fit(options)
    table = read_csv(options.data, columns=_names(options.columns))
    fitted = fit_table(
        table,
        objective=options.objective,
        hidden=_widths(options.hidden),
        activation=options.activation,
        energy=options.energy,
        jitter=options.jitter if options.jitter == "auto" else _number(options.jitter, "--jitter"),
        validation=options.validation,
        rng=options.seed,
        sigma=options.sigma,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        optimizer=options.optimizer,
        weight_decay=options.weight_decay,
        ema=options.ema,
        n_probes=options.probes,
        probe=options.probe,
        patience=options.patience,
        checkpoint=options.checkpoint,
        resume=options.resume,
    )
    model, standardisation, info = fitted.stored
    save(options.out, model, standardisation=standardisation, info=info)
    _report_fit(fitted, compare(fitted, rng=options.seed), table.columns, options)
    return 130 if fitted.run.stopped == "interrupted" else 0


def _check_fit(options: Any) -> None:
    """What one option asks of another."""
    if options.objective == "dsm" and options.sigma is None:
        raise ValueError("--sigma is needed with --objective dsm, e.g. 0.2")
    if options.probes != 1 and options.objective not in ("ssm", "ssm-vr"):
        raise ValueError(
            f"--probes must be left out with --objective {options.objective}, which has no probes"
        )
    if options.ema is not None and options.optimizer == "lbfgs":
        raise ValueError("--ema must be left out with --optimizer lbfgs, which averages nothing")


def _report_fit(fitted: Any, result: Any, columns: Sequence[str], options: Any) -> None:
    _say(f"{fitted.stored.model} on {', '.join(columns)}: {len(fitted.train)} rows, {options.objective}")
    if fitted.noise.any():
        noise = ", ".join(f"{value:.3g}" for value in fitted.noise)
        _say(f"noise in the density that was learned (standard units): {noise}")
    if fitted.run.best_step == 0:
        _complain("warning: no step improved on the random start: try a smaller --learning-rate", 0)
    _say(f"stopped: {fitted.run.stopped}; kept the model of step {fitted.run.best_step}")
    _say(f"held-out ISM {result.model:.4f}, best Gaussian {result.gaussian:.4f}")
    _say(
        f"difference {result.difference:.4f} +- {result.standard_error:.4f} (standard error; below 0 is better)"
    )
    _say(f"wrote {options.out}")


def _sample(options: Any) -> int:
    from ..datasets import write_csv
    from ..density.stored import sample_table
    from ..plots import picture_format, sample_figure, save_figure
    from ..storage import load

    check_outputs([options.model, options.start], out=options.out, plot=options.plot)
    if options.plot:
        picture_format(options.plot)
    stored = load(options.model)
    start = None if options.start is None else _read_own_columns(options.start, stored)
    table, run = sample_table(
        stored,
        options.n,
        mala=options.mala,
        start=start,
        step=options.step,
        n_steps=options.n_steps,
        rng=options.seed,
    )
    write_csv(options.out, table)
    _say(f"wrote {len(table.values)} samples to {options.out} ({_steps(run)} each)")
    if options.plot:
        save_figure(sample_figure(table), options.plot)
        _say(f"wrote {options.plot}")
    return 0


def _steps(run: Any) -> str:
    if hasattr(run, "acceptance"):
        return f"{run.n_steps} MALA steps, {run.acceptance[~run.diverged].mean():.0%} of them accepted,"
    return f"{run.n_steps} Langevin steps"


def _score(options: Any) -> int:
    from ..datasets import write_csv
    from ..density.stored import score_table
    from ..storage import load

    check_outputs([options.model, options.data], out=options.out)
    stored = load(options.model)
    scores = score_table(stored, _read_own_columns(options.data, stored))
    if options.out:
        write_csv(options.out, scores)
        _say(f"wrote {len(scores.values)} scores to {options.out}")
    else:
        _say(",".join(scores.columns))
        for row in scores.values.tolist():
            _say(",".join(map(repr, row)))
    return 0


def _conform(options: Any) -> int:
    from .conform import conform

    return conform(options)


COMMANDS = {
    "demo": _demo,
    "verify": _verify,
    "fit": _fit,
    "sample": _sample,
    "score": _score,
    "conform": _conform,
}


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(message: str, code: int) -> int:
    print(f"npscore: {message}", file=sys.stderr)
    return code


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"npscore: warning: {_one_line(message)}", file=sys.stderr)


def _one_line(error: Any) -> str:
    """An error as one line; a file error as 'file: what is wrong'."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    for python, here in WORDS.items():
        text = text.replace(python, here)
    return re.sub(r"^(\w+)(?=(\[\d+\])? must )", lambda name: FLAGS.get(name[0], name[0]), text)


def _read_own_columns(path: str, stored: Any) -> Any:
    """The columns of a file that a stored model has, by name where it has names."""
    from ..datasets import read_csv

    if stored.standardisation is None:
        return read_csv(path)
    columns = stored.standardisation.columns
    try:
        return read_csv(path, columns=columns)
    except ValueError as error:
        _, says_which, rest = str(error).partition("columns must be among ")
        if not says_which:
            raise
        has = rest.split(" or a position", 1)[0]
        raise ValueError(f"{path} must have the model's columns {', '.join(columns)}, got {has}") from None


def _names(text: Optional[str]) -> Optional[list[str]]:
    return None if text is None else [name.strip() for name in text.split(",")]


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(",") if text.strip())
    except ValueError:
        raise ValueError(f"--hidden must be widths like 64,64 (or '' for none), got {text!r}") from None


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number or 'auto', got {text!r}") from None
