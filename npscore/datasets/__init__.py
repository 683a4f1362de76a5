"""Numbers in and out: tables and CSV, three small real data sets, standardising, dequantising, splitting."""

from .bundled import digits, fiji_quakes, old_faithful
from .rounding import (
    ColumnRounding,
    RoundedDataWarning,
    comb_information,
    comb_ripple,
    dequantise,
    rounding_report,
    suggested_jitter,
    warn_if_rounded,
)
from .splitting import train_validation_split
from .standardise import Standardisation
from .tables import Table, read_csv, write_csv

__all__ = [
    "ColumnRounding",
    "RoundedDataWarning",
    "Standardisation",
    "Table",
    "comb_information",
    "comb_ripple",
    "dequantise",
    "digits",
    "fiji_quakes",
    "old_faithful",
    "read_csv",
    "rounding_report",
    "suggested_jitter",
    "train_validation_split",
    "warn_if_rounded",
    "write_csv",
]
