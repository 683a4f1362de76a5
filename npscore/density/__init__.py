"""A table in, a density out: standardise, fit, and samples and scores back in the table's own units."""

from .stored import sample_table, score_table
from .table import Comparison, FittedTable, automatic_jitter, compare, curvature, fit_table

__all__ = [
    "Comparison",
    "FittedTable",
    "automatic_jitter",
    "compare",
    "curvature",
    "fit_table",
    "sample_table",
    "score_table",
]
