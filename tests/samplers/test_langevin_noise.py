"""The random numbers of Langevin: the contract spelled out with NumPy alone, and the law of the float32 ones."""

import numpy as np
import pytest
from scipy.special import ndtr

import npscore as ns
from npscore.samplers.blocks import fill_standard_normal

SHAPES = [
    (1, 1),
    (5, 3),
    (2048, 2),
    (2049, 2),
    (5000, 2),
    (10_000, 10),
    (700, 64),
    (1300, 64),
    (300, 784),
    (3, 5000),
]


def spelled_out(n, d, rng):
    """First row, stop and Generator of each block."""
    words = np.random.default_rng(rng).integers(0, 2**32, size=4, dtype=np.uint32)
    most = min(4096, max(128, 2**16 // d))
    k = 1 if 2 * n <= most else 2 * int(np.ceil(n / (2 * most)))
    seeds = np.random.SeedSequence(words.tolist()).spawn(k)
    generators = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
    return [(i * n // k, (i + 1) * n // k, generator) for i, generator in enumerate(generators)]


@pytest.mark.parametrize("n, d", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_blocks_and_streams_are_those_that_the_contract_says(n, d, dtype):
    blocks, expected = ns.samplers.langevin_blocks(n, d, rng=7), spelled_out(n, d, 7)
    assert [(b.rows.start, b.rows.stop) for b in blocks] == [(start, stop) for start, stop, _ in expected]
    for block, (start, stop, generator) in zip(blocks, expected):
        assert block.shape == (stop - start, d)
        for _ in range(2):
            z = block.noise(dtype)
            np.testing.assert_array_equal(z, generator.standard_normal((stop - start, d)))
            assert z.dtype == dtype


@pytest.mark.parametrize("n, d", SHAPES)
def test_float32_numbers_have_the_radius_and_the_angle_of_their_words(n, d):
    for block, (start, stop, generator) in zip(
        ns.samplers.langevin_blocks(n, d, rng=7), spelled_out(n, d, 7)
    ):
        size = (stop - start) * d
        half = (size + 1) // 2
        for _ in range(2):
            z = block.noise(np.float32)
            words = generator.bit_generator.random_raw(half)
            low, high = (words & 0xFFFFFFFF).astype(float), (words >> np.uint64(32)).astype(float)
            halves = np.stack([low, high], axis=1).ravel()  # of each word the low half first
            square, angle = -2 * np.log((halves[:half] + 0.5) / 2**32), 2 * np.pi * halves[half:] / 2**32
            sines = z.ravel()[:half].astype(float)
            np.testing.assert_allclose(sines, np.sqrt(square) * np.sin(angle), atol=4e-4)
            sines, cosines = sines[: size // 2], z.ravel()[half:].astype(float)
            square, angle = square[: size // 2], angle[: size // 2]
            np.testing.assert_allclose(sines**2 + cosines**2, square, rtol=1e-6, atol=2e-7)
            turn = np.exp(1j * (np.arctan2(sines, cosines) - angle))
            assert np.abs(turn[square > 1e-6] - 1).max(initial=0) < 1e-6
            assert z.dtype == np.float32


def off_normal(z):
    """√n times the largest gap between the empirical distribution and Φ (Kolmogorov's statistic), and the
    deviations of correlation, second, fourth and sixth moment in standard errors."""
    z, n = np.sort(z.ravel().astype(float)), z.size
    gap = np.abs(np.arange(1, n + 1) / n - ndtr(z)).max() * np.sqrt(n)
    moments = [(np.mean(z**p) - mean) / np.sqrt(variance / n) for p, mean, variance in
               ((1, 0, 1), (2, 1, 2), (4, 3, 96), (6, 15, 10170))]  # fmt: skip
    return gap, np.abs(moments).max()


def float32_noise(seed, size=2**20):
    z = np.empty((4, size // 2, 2), np.float32)
    fill_standard_normal(np.random.Generator(np.random.SFC64(seed)), z)
    return z


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_float32_numbers_are_normal_and_independent(seed):
    z = float32_noise(seed)
    gap, moments = off_normal(z)
    assert gap < 1.95 and moments < 4  # exceeded once in 1,000 and 4,000 times
    flat, root = z.reshape(4, -1).astype(float), np.sqrt(z.size // 2)
    sines, cosines = np.split(flat, 2, axis=1)
    for f in (lambda a: a, np.abs):  # also the radius must not show
        products = np.corrcoef(f(sines).ravel(), f(cosines).ravel())[0, 1], np.corrcoef(*f(flat[:2]))[0, 1]
        assert np.abs(products).max() * root < 4.5
    tail = np.count_nonzero(np.abs(flat) > 4), 2 * ndtr(-4) * z.size
    assert abs(tail[0] - tail[1]) < 4 * np.sqrt(tail[1])


def test_the_test_of_the_law_rejects_uniform_sines_a_missing_two_and_half_a_turn():
    rng = np.random.default_rng(0)
    u, theta = rng.random(2**20), 2 * np.pi * rng.random(2**20)
    r = np.sqrt(-2 * np.log(u))
    assert off_normal(r * np.sin(theta))[0] < 1.95
    for wrong in (
        r / np.sqrt(2) * np.sin(theta),
        r * np.sin(theta / 2),
        r * np.sin(theta * 1.01),
        r * 1.005 * np.sin(theta),
    ):
        assert max(off_normal(wrong)) > 5


def test_the_largest_and_the_smallest_word_give_finite_numbers():
    class Words:
        def __init__(self, word):
            self.bit_generator, self.word = self, word

        def random_raw(self, n):
            return np.full(n, self.word, np.uint64)

    for word, largest in ((0, np.sqrt(66 * np.log(2))), (2**64 - 1, 0.0)):
        z = np.empty((1, 2, 2), np.float32)
        with np.errstate(all="raise"):
            fill_standard_normal(Words(word), z)
        assert np.abs(z).max() == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("shape", [(7, 3), (4, 2), (1, 1)])
def test_numbers_are_the_same_however_many_steps_are_drawn_at_a_time(dtype, shape):
    one, many = (ns.samplers.langevin_blocks(*shape, rng=3)[0] for _ in range(2))
    z = np.empty((6, *shape), dtype)
    fill_standard_normal(many.rng, z[:4])
    fill_standard_normal(many.rng, z[4:])
    np.testing.assert_array_equal(z, [one.noise(dtype) for _ in range(6)])


GENERATORS = {
    "PCG64": lambda: np.random.default_rng(3),
    "Philox": lambda: np.random.Generator(np.random.Philox(3)),
    "no SeedSequence": lambda: np.random.Generator(np.random.RandomState(3)._bit_generator),
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_any_generator_gives_a_run_another_run_and_by_its_state_the_same_run(kind):
    rng = GENERATORS[kind]()
    state = rng.bit_generator.state

    def draw():
        return np.concatenate([block.noise() for block in ns.samplers.langevin_blocks(3000, 2, rng=rng)])

    first, second = draw(), draw()
    rng.bit_generator.state = state
    np.testing.assert_array_equal(draw(), first)
    assert (first != second).all()
    assert np.unique(first).size == first.size  # no block repeats another


def test_the_noise_of_a_foreign_byte_order_is_that_of_the_native_one():
    x0 = np.zeros((5, 3), np.dtype(np.float32).newbyteorder())
    z = ns.samplers.langevin_blocks(5, 3, rng=0)[0].noise(x0.dtype)
    out = ns.langevin(lambda x: -x, x0, 0.1, 1, rng=0)
    np.testing.assert_array_equal(out.x, ns.langevin_step(lambda x: -x, x0, 0.1, z))
