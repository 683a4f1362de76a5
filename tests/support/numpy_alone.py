"""What must work where nothing but NumPy is installed. A script, not a test: CI runs it in such an environment."""

import importlib.util
import sys

import numpy as np

for missing in ("scipy", "matplotlib", "pytest"):
    assert importlib.util.find_spec(missing) is None, f"{missing} is installed here: nothing is shown"

from support.conformance_npscore import FUNCTIONS  # noqa: E402

import npscore as ns  # noqa: E402
from npscore.cli.verify import run_checks  # noqa: E402
from npscore.conformance import check  # noqa: E402

checks = list(run_checks())
failed = [check for check in checks if not check.passed]
assert not failed, failed

x = ns.datasets.old_faithful().values
x = (x - x.mean(axis=0)) / x.std(axis=0)
run = ns.fit(ns.MLP.init((2, 16, 2), rng=0), x, steps=200, jitter=0.2, validation=0.2, rng=0)
out = ns.langevin(run.model.score, np.zeros((50, 2)), step=1e-2, n_steps=100, rng=0)
distance = ns.diagnostics.energy_distance(out.x, x)
assert run.history.validation_loss[-1] < run.history.validation_loss[0]
assert 0 < distance < 2, distance
report = check(FUNCTIONS)
assert report.exit_code == 0, report.text()
assert not {"scipy", "matplotlib"} & set(sys.modules)
print(
    f"NumPy {np.__version__} alone: {len(checks)} checks passed, a fit and 50 chains ran; {report.summary()}"
)
