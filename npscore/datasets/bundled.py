"""The three small real data sets that ship with the package; README.md beside them says where they come from."""

from __future__ import annotations

from importlib.resources import files

from ._csv import parse
from .tables import Table


def old_faithful() -> Table:
    """272 eruptions of Old Faithful: ``eruptions`` (duration) and ``waiting`` (to the next), in minutes.

    Waiting is rounded to the minute, eruptions to the second: dequantise before implicit score matching.
    Source: Azzalini and Bowman (1990), in the version of Härdle (1991), via R's ``faithful``.
    """
    return _load("old_faithful.csv")


def fiji_quakes() -> Table:
    """1,000 earthquakes near Fiji: ``lat``, ``long`` (degrees), ``depth`` (km), ``mag``, ``stations``.

    Two curved bands in longitude and latitude. All five columns are rounded.
    Source: Harvard PRIM-H project, J. Woodhouse, via R's ``quakes``.
    """
    return _load("fiji_quakes.csv")


def digits() -> Table:
    """1,797 handwritten digits: 64 pixels ``pixel_0_0, …, pixel_7_7`` (row, column), 0 to 16, and ``label``.

    ``digits().values[:, :64].reshape(-1, 8, 8)`` are the images. The pixels are counts (steps of 1), and
    three of them are 0 throughout. Source: Alpaydin and Kaynak (1998), UCI, CC BY 4.0.
    """
    pixels = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    return Table((*pixels, "label"), _load("digits.csv.gz").values)


def _load(name: str) -> Table:
    return Table(*parse((files(__package__) / name).read_bytes(), name, None))
