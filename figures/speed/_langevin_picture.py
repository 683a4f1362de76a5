"""The picture of ``langevin_speed``: rates per case and precision, and growth with the number of chains."""

from __future__ import annotations

from typing import Any

from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

MARKS = {  # colour, marker, size
    "npscore, one core": (DATA, "o", 5),
    "npscore, all cores": (DATA, "o", 9),
    "PyTorch, eager": (MODEL, "s", 7),
    "JAX, jitted scan": (GAUSSIAN, "^", 7),
    "floor: random numbers and products": ("black", "|", 12),
}


def draw(numbers: dict[str, Any]) -> Any:
    """Two panels of rates, a row a case; two small ones of growth."""
    names = list(dict.fromkeys(name.rsplit(", ", 1)[0] for name in numbers["cases"]))
    figure = new_figure(12, 0.5 * max(5, len(names)) + 1.6)
    panels = figure.subplots(1, 4, gridspec_kw={"width_ratios": [3, 3, 1.7, 1.7]})
    for axes, dtype in zip(panels, ("float32", "float64")):
        for y, name in enumerate(names):
            draw_row(axes, y, marked(numbers["cases"][f"{name}, {dtype}"]))
        axes.set(xscale="log", title=dtype, xlabel="chain steps per second")
        axes.set_yticks(range(len(names)), names if dtype == "float32" else [""] * len(names))
        axes.grid(axis="x", lw=0.4)
        axes.invert_yaxis()
    draw_growth(panels[2], panels[3], numbers["growth"])
    handles = {line.get_label(): line for line in panels[0].get_lines() if line.get_label()[0] != "_"}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=9)
    return figure


def rates(row: dict[str, Any]) -> dict[str, float]:
    """Median chain steps per second by contender."""
    return {name: row["chain_steps"] / seconds["median"] for name, seconds in row["seconds"].items()}


def marked(row: dict[str, Any]) -> dict[str, float]:
    """The rates that have a mark; all cores is the faster of threads and processes."""
    found = rates(row)
    found["npscore, all cores"] = max(found["npscore, threads"], found["npscore, processes"])
    return {name: found[name] for name in MARKS if name in found}


def draw_row(axes: Any, y: int, shown: dict[str, float]) -> None:
    for name, rate in shown.items():
        colour, marker, size = MARKS[name]
        axes.plot(rate, y, marker, color=colour, ms=size, ls="none", label=name if y == 0 else None)


def draw_growth(time: Any, memory: Any, growth: dict[str, Any]) -> None:
    """Measured points, and the straight lines of slope one that are predicted."""
    chains, seconds, peaks = (growth[key] for key in ("chains", "seconds", "peak_bytes"))
    time.loglog(chains, seconds, "o", color=DATA, ms=5)
    time.loglog(chains, [seconds[-1] * n / chains[-1] for n in chains], color=GREY, lw=1)
    time.set(title="growth: seconds", xlabel="chains (line: slope 1)")
    fixed = peaks[-1] - growth["predicted_bytes_per_chain"] * chains[-1]
    memory.loglog(chains, peaks, "o", color=DATA, ms=5)
    memory.loglog(chains, [fixed + growth["predicted_bytes_per_chain"] * n for n in chains], color=GREY, lw=1)
    memory.set(title="peak bytes", xlabel=f"chains (line: {growth['predicted_bytes_per_chain']} each)")
