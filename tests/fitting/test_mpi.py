"""The same bits from mpi4py's MPIPoolExecutor, where MPI can be had: ``pip install mpi4py mpich``."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def mpi(*arguments):
    """``mpiexec -n 3 python …``: one process that asks and two that work."""
    command = [mpiexec(), "-n", "3", sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1] / "support"
    )


def mpiexec():
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


@pytest.fixture(scope="module")
def mpi_starts():
    pytest.importorskip("mpi4py")
    if mpiexec() is None:
        pytest.skip("mpiexec is not installed")
    probe = mpi("-c", "from mpi4py import MPI; assert MPI.COMM_WORLD.size == 3")
    if probe.returncode:
        pytest.skip("MPI does not start here: " + probe.stderr.strip()[-200:])


def test_mpi_gives_the_same_bits(mpi_starts):
    done = mpi("-m", "mpi4py.futures", "mpi_run.py")
    assert (done.returncode, done.stdout) == (0, "the same bits\n"), done.stderr[-3000:]
