"""The oracle shares nothing with npscore, its two routes catch each other's mistakes, and it makes the files again."""

import ast
import json
import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from oracle import cases_densities, cases_networks, certify, functions, generate, integrals, numbers, plans
from oracle.draws import Draws, exact
from oracle.numbers import Sized

ORACLE = Path(__file__).parents[1] / "oracle"
V1 = generate.TARGET
#: quick ones of every family; `python tests/oracle/generate.py --check` makes all of them again
SAMPLE = {
    "activations": (10, 22, 31, 62),
    "rational": (1, 13, 60),
    "esm": (2, 7),
    "ism": (1, 7),
    "ssm": (3,),
    "ssm_vr": (2,),
    "dsm": (1, 8, 31),
    "densities": (1, 4, 6, 42),
    "population": (1, 9, 16, 22),
    "samplers": (1, 13, 27, 40),
    "laws": (1, 5, 13),
    "edge": (1, 22, 30),
    "invalid": (1, 20, 40),
}


def published(family):
    return json.loads((V1 / f"{family}.json").read_text("utf-8"))["cases"]


def test_every_family_is_sampled_and_every_file_has_its_own_layout():
    assert set(SAMPLE) == set(generate.ABOUT)
    for family, about in generate.ABOUT.items():
        records = published(family)
        assert list(generate.builders(family)) == [record["id"] for record in records]
        assert certify.family_text(family, about, records).encode() == (V1 / f"{family}.json").read_bytes()
    assert generate.manifest_text().encode() == (V1 / "manifest.json").read_bytes()


@pytest.mark.parametrize("family", SAMPLE)
def test_cases_are_made_again_byte_for_byte(family):
    records = {record["id"]: record for record in published(family)}
    made = generate.builders(family)
    for number in SAMPLE[family]:
        id = f"{family}-{number:04d}"
        record = made[id]()
        record["flags"] = [flag for flag in records[id]["flags"] if flag == "smoke"] + record["flags"]
        assert certify.text(record) == certify.text(records[id])


def test_only_the_standard_library_is_used_and_files_are_short():
    allowed = set(sys.stdlib_module_names) | {"oracle"}
    for path in ORACLE.glob("*.py"):
        text = path.read_text("utf-8")
        assert text.count("\n") <= 250, path.name
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.split(".")[0] for name in names} <= allowed, path.name


# ---- the routes catch each other ---------------------------------------------------------------------


def _scaled(order, factor):
    def spoil(right):
        return lambda z: tuple(v * factor if k == order else v for k, v in enumerate(right(z)))

    return spoil


PLAN = plans.Plan("ism-0000", "ism", "tanh", 3, (3, 4, 3), 5)
ONE_IN_1E48 = Decimal("1." + "0" * 47 + "1")


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_wrong_derivative_is_not_published(order, monkeypatch):
    """One part in 10⁴⁸ in φ, φ′ or φ″ of route 1, and nothing comes out."""
    spoil = _scaled(order, ONE_IN_1E48)
    monkeypatch.setitem(functions.JETS, "tanh", spoil(functions.JETS["tanh"]))
    with pytest.raises(certify.Disagreement):
        cases_networks.build(PLAN)


def test_a_dropped_half_in_one_route_is_not_published(monkeypatch):
    monkeypatch.setattr("oracle.networks.half", lambda number: Sized(number(1)))
    with pytest.raises(certify.Disagreement, match="half_square"):
        cases_networks.build(PLAN)


def test_a_wrong_normaliser_is_not_published(monkeypatch):
    factors = ("logistic", "truncated_gaussian", "exponential")
    monkeypatch.setitem(cases_densities.densities.MASSES, "logistic", lambda low, high: ONE_IN_1E48)
    with pytest.raises(certify.Disagreement, match="log_prob"):
        cases_densities.density_case("densities-0000", "product", 3, 4, factors=factors)


def test_digits_are_those_that_two_numbers_share():
    one, zeros = {"x": [Sized(Decimal(3))]}, "0" * 48
    assert certify.digits(one, {"x": [Decimal(3)]}) == 60
    assert certify.digits(one, {"x": [Decimal(f"3.{zeros}0000006")]}) == 54
    for other in (Decimal(f"3.{zeros}06"), Decimal(-3), Decimal(0)):
        with pytest.raises(certify.Disagreement):
            certify.digits(one, {"x": [other]})
    with pytest.raises(certify.Disagreement, match="1 numbers and 2"):
        certify.digits(one, {"x": [Decimal(3)] * 2})


# ---- its arithmetic ----------------------------------------------------------------------------------


def test_sizes_grow_by_cancellation_only():
    big, small = Sized(Fraction(10**6)), Sized(Fraction(1))
    gap = big + -Sized(Fraction(10**6 - 1))
    assert gap.value == 1 and 1.4e6 < gap.size < 1.5e6
    assert (gap * gap).size == gap.size and (small + small).size == 2
    assert float((big * small).size) == 1e6


def test_derivatives_count_the_terms_of_their_textbook_forms():
    """tanh′(10) is 8e-9, as 1 − t² a difference of ones; sin′ is a cosine and no difference at all."""
    with localcontext() as context:
        context.prec = 60
        z = Sized(Decimal(10))
        tanh, gelu, sine = (functions.jet(name) for name in ("tanh", "gelu", "sin"))
        slope = z.apply(tanh, 1)
        assert slope.value < Decimal("1e-8") and 1.41 < slope.size < 1.42
        assert 2.82 < z.apply(tanh, 2).size < 2.84  # −2t(1 − t²)
        left = (-z).apply(gelu)
        assert abs(left.value) < Decimal("1e-21") and 7 < left.size < 7.1  # z(1 + erf)/2
        assert (
            sine.sizes(z.value) == (0, 0, 0) and z.apply(sine, 1).size < 5.5
        )  # |sin 10| · 10, from rounding z


def test_the_tape_differentiates_twice():
    """f = x² y + e^x / y at (2, 3) in the direction (1, −1): gradient and Hessian times direction, by hand."""
    with localcontext() as context:
        context.prec = 50
        x, y = (numbers.Variable(numbers.dual(Decimal(v), dv)) for v, dv in ((2, 1), (3, -1)))
        f = x * x * y + x.exp() / y
        (gx, gy) = numbers.reverse([f], [Sized(Decimal(1))], [x, y])
        e = Decimal(2).exp()
        wanted = [12 + e / 3, 4 - e / 9, 6 + e / 3 - (4 - e / 9), 4 - e / 9 - 2 * e / 27]
        got = [gx.re, gy.re, gx.du, gy.du]
        assert max(abs(number.value - value) for number, value in zip(got, wanted)) < Decimal("1e-47")


def test_integrals_and_inverses_are_known_ones():
    with localcontext() as context:
        context.prec = 75
        pi = functions.pi()
        assert abs(integrals.integrate(lambda t: (-t * t / 2).exp()) - (2 * pi).sqrt()) < Decimal("1e-68")
        assert abs(
            integrals.integrate(lambda t: (-t).exp(), Decimal(2), float("inf")) - Decimal(-2).exp()
        ) < Decimal("1e-68")
        assert abs(integrals.integrate(lambda t: t**3, Decimal(1), Decimal(2)) - Decimal("3.75")) < Decimal(
            "1e-68"
        )
        assert abs(cases_densities.densities.log_gamma(Decimal("0.5")) - pi.ln() / 2) < Decimal("1e-68")
    matrix = exact([[2, 0.5, 0], [0.5, 1, 0.25], [0, 0.25, 1]], -2).numbers(Fraction)
    assert integrals.eliminate(matrix) == integrals.cramer(matrix)
    identity = [
        [sum(a * row[j] for a, row in zip(left, integrals.cramer(matrix)[0])) for j in range(3)]
        for left in matrix
    ]
    assert identity == [[int(i == j) for j in range(3)] for i in range(3)]


def test_the_generator_is_splitmix64():
    """Its first outputs from state 1234567, as published with the reference implementation."""
    draws = Draws("")
    draws.state = 1234567
    assert [draws.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]
