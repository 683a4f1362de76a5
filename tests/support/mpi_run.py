"""What test_mpi runs under mpiexec: Langevin and a sharded loss by MPIPoolExecutor, and here, bit for bit the same."""

import numpy as np
from mpi4py.futures import MPIPoolExecutor

import npscore as ns


def main() -> None:
    p = ns.targets.GaussianMixture([0.3, 0.7], [[-2.0, 0.0], [2.0, 1.0]], [np.eye(2), 0.5 * np.eye(2)])
    model = ns.MLP.init((2, 16, 2), rng=0)
    x0 = np.random.default_rng(0).standard_normal((9000, 2))
    shards = [x0[:1500], x0[1500:1700], x0[1700:]]
    with MPIPoolExecutor() as executor:
        assert executor.num_workers == 2
        for score in (p.score, model.score):
            run = [ns.langevin(score, x0, 0.05, 20, rng=0, executor=engine) for engine in (None, executor)]
            np.testing.assert_array_equal(run[0].x, run[1].x)
        here, there = (ns.sharded("ssm", engine, shards)(model, rng=1) for engine in (None, executor))
        assert here.loss == there.loss
        np.testing.assert_array_equal(here.grad, there.grad)
        try:
            ns.langevin(lambda x: -x, x0, 0.05, 1, rng=0, executor=executor)
        except TypeError as error:
            assert "score must be picklable" in str(error)
        else:
            raise AssertionError("a lambda went to another process")
    print("the same bits")


if __name__ == "__main__":
    main()
