"""Mistakes to plant in the source, each with the tests that must notice, and how to run those on a copy.

Nothing here imports npscore: the copy that a mistake is planted in belongs to a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import NamedTuple

from .planted_diffusion import DIFFUSION

GRADIENTS = "models/test_gradients.py::test_every_parameter_at_every_depth_is_the_complex_step"
TRANSPOSE = "models/test_gradients.py::test_square_weights_hide_no_transpose"
CUTS = "models/test_trace.py::test_every_cut_of_the_ring_is_the_sum_over_directions"
DEPTHS = "models/test_trace.py::test_the_rule_of_every_depth_is_the_sum_over_directions"
FORMULA = (
    "objectives/test_objectives.py::test_per_sample_values_are_the_formulas_and_the_loss_their_weighted_sum"
)
RANGE = "targets/test_targets_range.py::"
SCORES = "targets/test_targets.py::test_the_score_is_the_gradient_and_the_divergence_its_trace"
LAW = "samplers/test_langevin_law.py::test_the_step_has_the_law_of_eq_1_4_and_1_5_exactly"
STREAMS = "samplers/test_langevin_noise.py::test_blocks_and_streams_are_those_that_the_contract_says"
WORDS = "samplers/test_langevin_noise.py::test_float32_numbers_have_the_radius_and_the_angle_of_their_words[300-784]"
NORMAL = "samplers/test_langevin_noise.py::test_float32_numbers_are_normal_and_independent[0]"
CHAINS = "samplers/test_langevin_law.py::test_chains_follow_the_law_within_standard_errors[1-5]"
TEXT = "test_derivations.py::test_every_block_runs"
RATIO = "samplers/test_metropolis.py::"
STEIN = "diagnostics/test_stein.py::test_the_discrepancy_is_its_formula_pair_by_pair"
RUNS = "samplers/test_metropolis_runs.py::"
KINETIC = "samplers/test_kinetic.py::"
ENERGY = "models/test_energy.py::test_every_gradient_is_the_complex_step"
SLOPE = "models/test_energy.py::test_the_score_is_minus_the_gradient_of_the_energy"
LAPLACIAN = "models/test_energy.py::test_the_jacobian_is_symmetric_and_the_laplacian_its_trace"
CARRIED = "models/test_energy.py::test_the_fast_rules_are_the_sum_over_directions"
THEOREM = "objectives/test_theorem.py::test_for_a_linear_score_in_closed_form_at_any_dimension"


class Mistake(NamedTuple):
    """``right`` stands exactly once in npscore/``file``; with ``wrong`` in its place each of ``tests`` fails."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


def _table(file: str, *rows: tuple[str, ...]) -> list[Mistake]:
    return [Mistake(name, file, right, wrong, tuple(tests)) for name, right, wrong, *tests in rows]


MISTAKES = [
    *_table(
        "models/_network/passes.py",
        ("the Jacobian's share in the last columns", "weight[:, : more.shape[1]] +=", "weight[:, -more.shape[1] :] +=",
         "models/test_conditions.py::test_every_gradient_is_the_complex_step[ism-a row each-hidden2]"),
        ("dropped phi''", "curvature * (u[l] * dt)", "0 * (u[l] * dt)", f"{GRADIENTS}[tanh-ssm_vr]"),
        ("dropped phi'", "dz = times(da, run.jets[l - 1][1])", "dz = da", f"{GRADIENTS}[tanh-esm]"),
        ("no gradient of the bias", "ones @ dz))", "0 * (ones @ dz)))", f"{GRADIENTS}[sin-dsm]"),
        ("bias gradient a mean", "ones @ dz))", "ones @ dz / len(dz)))", f"{GRADIENTS}[erf-esm]"),
        ("transposed weight forward", "a @ weight.T  # (n", "a @ weight  # (n",
         "models/test_models.py::test_a_state_dict_gives_what_pytorch_computes"),
        ("bias twice where it is a column", "np.concatenate([weight, bias", "np.concatenate([weight, 2 * bias",
         "models/test_models.py::test_a_bias_that_is_a_column_is_added_as_ever"),
        ("transposed weight backward", "da = dz @ layers[l].weight", "da = dz @ layers[l].weight.T",
         f"{TRANSPOSE}[esm]"),
        ("transposed weight in the quadratic form", "dt = _rows(du, layers[l].weight)",
         "dt = _rows(du, layers[l].weight.T)", f"{TRANSPOSE}[ssm_vr]"),
        ("dW of the trace without phi'", "du = slope * dt", "du = dt", f"{GRADIENTS}[silu-ssm]"),
    ),
    *_table(
        "models/mlp.py",
        ("detached trace", "pull_trace(ddiv)", "pull_trace(0 * ddiv)", f"{GRADIENTS}[gelu-ism]"),
        ("detached quadratic form", "tangents, dq.reshape(", "tangents, 0 * dq.reshape(",
         f"{GRADIENTS}[softplus-ssm_vr]"),
    ),
    *_table(
        "models/feedforward.py",
        ("layers sorted as text", "for number in sorted(parts)]", "for number in sorted(parts, key=str)]",
         "models/test_models.py::test_layers_of_a_state_dict_come_in_numerical_order"),
    ),
    *_table(
        "models/_network/trace.py",
        ("all of J summed, not its diagonal", "(W1 * W2.T).sum(axis=1)", "W1.sum(axis=1) * W2.sum(axis=0)",
         "models/test_models.py::test_one_hidden_layer_by_hand"),
        ("dropped phi'' with one hidden layer", "times(ddiv[:, None] * c, run.jets[0][2])", "0 * ddiv[:, None] * c",
         f"{GRADIENTS}[tanh-ism]"),
        ("dropped phi'' of the second layer", "times(ddiv[:, None] * half, run.jets[1][2])", "0 * half",
         f"{DEPTHS}[hidden2-silu]"),
        ("trace divided by d", "q.sum(axis=0), run", "q.mean(axis=0), run",
         f"{DEPTHS}[hidden1-silu]"),
        ("transposed M", "P = W3.T @ W1.T", "P = W1 @ W3",
         f"{DEPTHS}[hidden3-silu]"),
    ),
    *_table(
        "models/_network/ring.py",
        ("a chunk of directions lost", "for ks in chunks[1:]", "for ks in chunks[2:]",
         f"{CUTS}[hidden0-0-1]"),
        ("the chunks' gradients from the first run", "if len(chunks) == 1 else", "if len(chunks) else",
         f"{CUTS}[hidden4-0-60]"),
        ("dropped phi'' where the runs meet", "dslopes[-2] += ddiv[:, None] * meet", "pass",
         f"{CUTS}[hidden2-2-1048576]"),
        ("dropped phi'' between the ends", "dslopes[i] += np", "dslopes[i] += 0 * np",
         f"{CUTS}[hidden10-1-1048576]"),
        ("the exit not transposed back", "ring.exit[ks].T, ring.edges[-1]", "ring.exit[ks].T, ring.edges[-1].copy()",
         f"{CUTS}[hidden0-0-1048576]"),
        ("the closing edge not counted", "hidden[-1:] + hidden", "[0] + hidden",
         "models/test_trace.py::test_the_cut_is_where_multiplications_are_fewest"),
    ),
    *_table(
        "models/_network/energy.py",
        ("+grad E", "return Descent(-g.pop()", "return Descent(g.pop()", f"{SLOPE}[hidden1-silu]"),
        ("an energy's phi''' dropped", "dz = plus(dz, jet[3] * second.Q[l])", "dz = dz",
         f"{ENERGY}[hidden1-tanh-ism]", f"{ENERGY}[hidden0-silu-ssm_vr]"),
        ("an energy's phi'' dropped", "dz = jet[2] * y", "dz = 0 * y", f"{ENERGY}[hidden1-tanh-esm]"),
        ("curvature of +E", "return -sum(layers)", "return sum(layers)", f"{LAPLACIAN}[hidden1-gelu]"),
        ("curvature of the last layer only", "return -sum(layers)", "return -layers[-1]",
         f"{LAPLACIAN}[hidden1-gelu]", f"{CARRIED}[hidden1-2-0.5-4194304]"),
        ("1'H1 for the trace", "t, u = push(layers, run, unit_vectors(layers[0].weight))",
         "t, u = push(layers, run, unit_vectors(layers[0].weight).sum(axis=0, keepdims=True))",
         f"{CARRIED}[hidden1-9-0.5-4194304]"),
        ("factor 2 of a squared direction", "du = -2 * dq", "du = -dq", f"{ENERGY}[hidden1-sin-ssm]"),
        ("the way along directions left out", "dz = plus(dz, jet[2] * second.dslopes[l])", "dz = dz",
         f"{ENERGY}[hidden2-silu-ism]"),
        ("the gradient through the score left out", "along = down.slopes[l].T @ p[l]",
         "along = 0 * down.slopes[l].T @ p[l]", f"{ENERGY}[hidden1-erf-dsm]"),
    ),
    *_table(
        "models/_network/laplacian.py",
        ("+grad E with one hidden layer", "return -(slope @ V)", "return (slope @ V)", f"{SLOPE}[hidden0-tanh]"),
        ("+Laplacian of E with one hidden layer", "-(curve @ (w * N)), pullback", "curve @ (w * N), pullback",
         f"{LAPLACIAN}[hidden0-tanh]"),
        ("phi''' dropped with one hidden layer", "times(np.multiply.outer(-ddiv, w * N), third)", "0 * third",
         f"{ENERGY}[hidden0-tanh-ism]"),
        ("factor 2 of a row norm", "- 2 * (w * curved)", "- (w * curved)", f"{ENERGY}[hidden0-gelu-ism]"),
        ("1'H1 with one hidden layer", 'N = np.einsum("hd,hd->h", W, W)', "N = W.sum(axis=1) ** 2",
         f"{LAPLACIAN}[hidden0-silu]"),
        ("+Laplacian of E", "div = -sum(_dot", "div = sum(_dot", f"{LAPLACIAN}[hidden1-tanh]"),
        ("the last layer's term only", "for c, N in zip(curvatures, squares))",
         "for c, N in [(curvatures[-1], squares[-1])])",
         f"{LAPLACIAN}[hidden1-tanh]", f"{CARRIED}[hidden2-2-0.5-4194304]"),
        ("1'H1", 'first = np.einsum("hd,hd->h", W1, W1)[None, :]', "first = (W1.sum(axis=1) ** 2)[None, :]",
         f"{LAPLACIAN}[hidden1-silu]"),
        ("detached Laplacian", "ds, second_order(ddiv))", "ds, second_order(0 * ddiv))",
         f"{ENERGY}[hidden1-tanh-ism]"),
        ("factor 2 of the squared gradients at the top", "du = 2 * dN[-1]", "du = dN[-1]",
         f"{ENERGY}[hidden1-tanh-ism]"),
        ("factor 2 of the squared gradients between", "slope * dt + 2 * dN", "slope * dt + dN",
         f"{ENERGY}[hidden2-tanh-ism]"),
        ("the slopes' path left out where rows are few", "return np.einsum(\"nki,ik->ni\", dt, A)",
         "return 0 * np.einsum(\"nki,ik->ni\", dt, A)", f"{CARRIED}[hidden1-2-100-4194304]"),
        ("directions of an energy lost", "for ks in chunks[1:]", "for ks in chunks[2:]", f"{CARRIED}[hidden1-9-0.5-1]"),
        ("an energy's gradient not turned back", "lambda gradient: gradient @ Q.T",
         "lambda gradient: gradient @ Q.T[::-1]",
         f"{CARRIED}[hidden1-9-0.5-4194304]"),
    ),
    *_table(
        "models/energy.py",
        ("detached curvature", "t, u, dq.reshape(", "t, u, 0 * dq.reshape(", f"{ENERGY}[hidden1-tanh-ssm]"),
        ("confinement not squared", "/ self._confinement**2", "/ self._confinement",
         "models/test_energy.py::test_the_confinement_is_the_wrapper_with_a_minus_one_over_its_square"),
        ("the confinement's divergence not times d", "return self._confined(x, s), div + self.d * self._a(div)",
         "return self._confined(x, s), div + self._a(div)", f"{LAPLACIAN}[hidden1-tanh]"),
    ),
    *_table(
        "models/scaled.py",
        ("an energy times c", "_flat(b / c)", "_flat(b * c)",
         "models/test_energy.py::test_in_every_form_the_score_is_minus_the_gradient_of_its_energy[edm-hidden0]"),
        ("the square of a wrapper's energy without its half", "- 0.5 * _flat(a) * square", "- _flat(a) * square",
         "models/test_energy.py::test_in_every_form_the_score_is_minus_the_gradient_of_its_energy[v-hidden1]"),
    ),
    *_table(
        "models/rows.py",
        ("only the first block pulled back", "for block in blocks\n        )", "for block in blocks[:1]\n        )",
         "models/test_models.py::test_blocks_of_rows_change_nothing_but_rounding[200-hidden2]"),
    ),
    *_table(
        "models/layers.py",
        ("a condition left out of its plain model", "bias + weight[:, d:] @ cond", "bias + 0 * weight[:, d:] @ cond",
         "models/test_conditions.py::test_at_a_condition_the_model_is_a_plain_one[hidden1]"),
        ("the condition's columns first", "weight[:, : self.d], bias", "weight[:, self.condition :], bias",
         "models/test_conditions.py::test_the_jacobian_is_that_in_x_alone[hidden1-tanh]"),
    ),
    *_table(
        "models/linear.py",
        ("n - 1 for n", "(w[:, None] * centred)", "(w[:, None] * centred) * len(x) / (len(x) - 1)",
         "models/test_linear.py::test_fit_is_the_gaussian_of_maximum_likelihood"),
        ("sign of b", "cls(-precision, precision @ mean)", "cls(-precision, -precision @ mean)",
         "models/test_linear.py::test_the_score_of_a_gaussian"),
        ("population trace doubled", "+ np.trace(self.A)  # eq-3.1", "+ 2 * np.trace(self.A)  # eq-3.1", THEOREM),
        ("d/sigma^2 for d/(2 sigma^2)", "self.d / (2 * sigma**2)", "self.d / sigma**2",
         "objectives/test_theorem.py::test_denoising_for_a_linear_score_in_closed_form"),
    ),
    *_table(
        "objectives/explicit.py",
        ("missing 1/2 in ESM", 'return 0.5 * np.einsum(', 'return 1.0 * np.einsum(', f"{FORMULA}[esm]"),
    ),
    *_table(
        "objectives/implicit.py",
        ("sign of the trace, loss and gradient alike", "+ div, s, 1.0  # eq-2.2", "- div, s, -1.0  # eq-2.2",
         f"{FORMULA}[ism]"),
        ("sum for mean over dimensions", 'np.einsum("nd,nd->n", s, s)', "(s * s).mean(axis=1)", f"{FORMULA}[ism]"),
    ),
    *_table(
        "objectives/denoising.py",
        ("missing 1/2 in DSM", 'return 0.5 * np.einsum(', 'return 1.0 * np.einsum(', f"{FORMULA}[dsm]"),
        ("sigma^4 weighting", "residual  # eq-8.1", "residual * sigma[rows] ** 4  # eq-8.1", f"{GRADIENTS}[tanh-dsm]"),
        ("sign of the DSM target", "-noise / sigma", "noise / sigma", f"{FORMULA}[dsm]"),
        ("eps for eps/sigma", "-noise / sigma", "-noise", f"{FORMULA}[dsm]"),
        ("eps/sigma^2 for eps/sigma", "-noise / sigma", "-noise / sigma**2", f"{FORMULA}[dsm]"),
        ("the clean x in DSM", "as_array(x + sigma * noise,", "as_array(x,", f"{FORMULA}[dsm]"),
    ),
    *_table(
        "objectives/sliced.py",
        ("missing 1/2 in SSM", "0.5 * vs * vs + q", "vs * vs + q", f"{FORMULA}[ssm]"),
        ("dq not divided by m", "s, 1 / len(q)", "s, 1.0", f"{GRADIENTS}[tanh-ssm_vr]"),
        ("SSM's ds from one probe only", "(vs[..., None] * v).sum(axis=0)", "(vs[..., None] * v)[0]",
         f"{GRADIENTS}[tanh-ssm]"),
        ("probes of unit norm", "np.sqrt(shape[-1]) / np.sqrt(", "1 / np.sqrt(",
         "objectives/test_stochastic.py::test_spherical_probes_have_squared_norm_d"),
    ),
    *_table(
        "objectives/given.py",
        ("SSM and SSM-VR swapped", '"ssm": SSM, "ssm-vr": SSMVR', '"ssm": SSMVR, "ssm-vr": SSM',
         "objectives/test_stochastic.py::test_a_drawn_objective_is_the_pure_one_on_its_draws"),
    ),
    *_table(
        "_run/borders.py",
        ("sum for mean over rows", "np.full(n, real(1) / real(n), dtype)", "np.full(n, real(1), dtype)",
         "objectives/test_objectives.py::test_no_weights_is_the_mean_in_the_type_of_the_data[float64-ism]"),
    ),
    *_table(
        "activations/functions.py",
        ("the sigmoid's slope for tanh's", "yield (s := e)  # eq-6.1", "yield (s := e) * (1 - e)  # eq-6.1",
         f"{GRADIENTS}[tanh-esm]"),
        ("sign of tanh''", "c *= -2.0", "c *= 2.0",
         f"{GRADIENTS}[tanh-ism]"),
    ),
    *_table(
        "targets/mixture.py",
        ("mixture divergence without -|s|^2", "gaps - average(r, gaps)", "gaps", f"{SCORES}[GaussianMixture, d=2]"),
    ),
    *_table(
        "targets/gaussian.py",
        ("smoothed by sigma for sigma^2", "+= sigma * sigma", "+= sigma",
         "targets/test_targets.py::test_smoothing_is_convolution_and_tweedie_gives_the_posterior_mean"),
    ),
    *_table(
        "targets/student_t.py",
        ("Student's t: nu for nu + d", "like(self._power, x) * (pull", "like(self.df, x) * (pull",
         f"{SCORES}[StudentT, d=2]"),
        ("Student's t: the curvature with P for 2P", "precision - 2 * (precision @ precision)",
         "precision - precision @ precision",
         "targets/test_targets_extremes.py::test_the_divergence_of_an_isotropic_t_in_the_plane[1000.0]"),
    ),
    *_table(
        "targets/precision.py",
        ("every density in the type of x", "1 / limit <= scales.min()", "True or 1 / limit <= scales.min()",
         "targets/test_targets_extremes.py::test_the_score_of_a_gaussian_one_deviation_out_in_float32[1e+20]"),
    ),
    *_table(
        "targets/mixture.py",
        ("the midpoint of the means without its rest", " - rest[:, :, None]", "",
         f"{RANGE}test_mixture[1.0-at odd places-float64]"),
        ("far off the axis in the type of x", "if doubtful.any() and", "if False and",
         "targets/test_targets_extremes.py::test_a_mixture_far_off_the_axis_of_its_means[1000000.0-1e-13]"),
    ),
    *_table(
        "targets/truncated.py",
        ("every proposal accepted", "<= -0.5 * (proposal - gap) ** 2", "<= 0", f"{TEXT}[01-score]"),
    ),
    *_table(
        "targets/quadrature.py",
        ("Gauss-Legendre's weights without the square", "np.cos(theta), 1 / _legendre(order, theta)[1] ** 2",
         "np.cos(theta), 1 / np.abs(_legendre(order, theta)[1])", f"{TEXT}[01-score]"),
    ),
    *_table(
        "activations/special.py",
        ("erfc without the pole that the shifted line crosses", "* total + 2.0 * e / (1.0 + e)", "* total",
         f"{TEXT}[06-activations]"),
    ),
    *_table(
        "samplers/langevin.py",
        ("sqrt(alpha) noise", "np.sqrt(real(2.0 * step))", "np.sqrt(real(step))", LAW, CHAINS),
        ("alpha/2 drift", "= real(step), ", "= real(0.5 * step), ", LAW, CHAINS),
        ("noise 2 alpha, not its root", "np.sqrt(real(2.0 * step))", "real(2.0 * step)", LAW, CHAINS),
        ("descent in the run only", "np.add(x, drift, out=x)", "np.subtract(x, drift, out=x)",
         "samplers/test_samplers.py::test_langevin_is_the_iterated_step_bit_for_bit[float64]"),
        ("a wide density's chains called diverged", "return Motion(move, reach)", "return Motion(move)",
         "samplers/test_scales.py::test_a_stable_run_is_the_same_at_every_scale[float64-100]"),
    ),
    *_table(
        "_run/borders.py",
        ("the same streams in every run", "return tuple(rng.", "return tuple(np.random.default_rng(0).",
         "samplers/test_samplers.py::test_a_generator_moves_on_by_four_words_a_run"),
    ),
    *_table(
        "samplers/run.py",
        ("the run's own array handed to a score", "values = function(copy)", "values = function(y)",
         "samplers/test_samplers.py::test_a_score_that_writes_over_its_argument_or_returns_it_changes_nothing[langevin]"),
        ("a diverged chain not put back", "array[self._lost] = start[self._lost]", "pass",
         "samplers/test_divergence.py::"
         "test_the_score_goes_on_seeing_a_full_finite_block_with_diverged_chains_at_their_start[langevin]"),
    ),
    *_table(
        "samplers/blocks.py",
        ("u on [0, 1) for 1 - u", "(*normal, *_uniform(rng, uniforms, x)) if uniforms else normal",
         "(*normal, *(1.0 - _uniform(rng, uniforms, x))) if uniforms else normal",
         "samplers/test_runner.py::test_a_run_is_the_written_out_loop[float64-metropolis]"),
        ("one stream for all blocks", "spawn_key=(i,)", "spawn_key=(0,)", f"{STREAMS}[float64-10000-10]"),
        ("Box-Muller without its 2", "r *= _f(-2)", "r *= _f(-1)", WORDS, NORMAL),
        ("Box-Muller, half a turn", "_f(2 * np.pi * 2.0**-32)", "_f(np.pi * 2.0**-32)", WORDS, NORMAL),
        ("Box-Muller, one number for both", "np.cos(theta, out=theta)", "np.sin(theta, out=theta)", WORDS, NORMAL),
    ),
    *_table(
        "samplers/langevin_law.py",
        ("stationary covariance without its 1/2", "step / eigenvalues / 2.0", "step / eigenvalues",
         "samplers/test_langevin_law.py::test_the_stationary_covariance_is_the_fixed_point_and_the_limit"),
        ("1 - a/lambda formed first", "np.log1p(np.where(a > 1.0, a - 2.0, -a))", "np.log(np.abs(1.0 - a))",
         "samplers/test_langevin_law.py::test_a_million_million_million_steps_are_the_diffusion_at_time_one"),
    ),
    *_table(
        "samplers/metropolis.py",
        ("no first half kick", "p = p + 0.5 * h * s  # eq-16.4", "p = p + 0 * h * s  # eq-16.4",
         f"{RATIO}test_leapfrogs_run_back_when_the_momenta_are_turned_round[mixture]",
         f"{RATIO}test_hmc_is_its_leapfrogs_one_by_one[1-mixture]"),
        ("no last half kick", "else 0.5 * h) * s", "else 0.0 * h) * s",
         f"{RATIO}test_mala_has_detailed_balance_between_any_two_states[0.05-mixture]"),
        ("whole kicks at both ends", "else 0.5 * h) * s", "else h) * s",
         f"{RATIO}test_on_a_gaussian_leapfrogs_conserve_their_shadow_energy[0.1]"),
        ("drifts of half the length", "x = x + h * p", "x = x + 0.5 * h * p",
         f"{RATIO}test_mala_is_hmc_with_one_leapfrog_and_proposes_the_langevin_step[mixture]"),
        ("kicks of half a step", "(h if k < n_steps - 1", "(0.5 * h if k < n_steps - 1",
         f"{RATIO}test_hmc_is_its_leapfrogs_one_by_one[5-mixture]"),
        ("no kinetic terms", "+ 0.5 * ((z - p)", "+ 0.0 * ((z - p)",
         f"{RATIO}test_on_a_gaussian_the_log_ratio_of_mala_is_a_quarter_alpha_times_the_change_of_the_squared_score[0.4]",
         "samplers/test_which_bug.py::test_npscore_makes_none_of_them"),
        ("the kinetic terms' sign", "+ 0.5 * ((z - p)", "- 0.5 * ((z - p)",
         f"{RATIO}test_on_a_gaussian_the_log_ratio_of_mala_is_a_quarter_alpha_times_the_change_of_the_squared_score[0.4]",
         "samplers/test_which_bug.py::test_npscore_makes_none_of_them"),
        ("every proposal taken", "np.log(u) < log_ratio.real", "np.log(u) < log_ratio.real + 1e9",
         f"{RUNS}test_chains_that_start_with_the_right_law_keep_it_where_langevin_does_not[mala]",
         f"{RATIO}test_a_proposal_is_taken_where_log_u_is_below_the_log_ratio"),
        ("a ratio that is no number is taken", "= -np.inf\n    accepted", "= np.inf\n    accepted",
         f"{RATIO}test_beyond_an_edge_a_proposal_is_rejected"),
        ("the proposal's score kept after a rejection", "np.where(moves, s, here.score)", "s",
         f"{RATIO}test_what_is_known_at_the_new_state_is_what_the_next_step_needs"),
        ("h = sqrt(alpha)", "math.sqrt(2.0) * math.sqrt(alpha)", "math.sqrt(alpha)",
         f"{RATIO}test_mala_is_hmc_with_one_leapfrog_and_proposes_the_langevin_step[Gaussian]"),
        ("paths that left the floats shown to the score", "np.where(lost[:, None], x, y)", "y",
         f"{RATIO}test_a_path_that_leaves_the_floats_is_rejected_and_no_function_sees_it"),
    ),
    *_table(
        "samplers/hmc.py",
        ("log p at the start kept for ever", "x[...], log_p[...], s[...] = moved.x, *moved.here",
         "x[...], s[...] = moved.x, moved.here.score",
         f"{RUNS}test_a_metropolis_run_is_the_iterated_step_bit_for_bit[float64-a function]"),
    ),
    *_table(
        "samplers/kinetic.py",
        ("noise of variance 1 - c", "np.sqrt(-np.expm1(-2 * turn))", "np.sqrt(-np.expm1(-turn))",
         f"{KINETIC}test_a_step_is_its_letters_in_turn[0.7-BAOAB]"),
        ("a letter that occurs twice takes its time twice", "/ real(scheme.count(name))", "/ real(1)",
         f"{KINETIC}test_a_step_is_its_letters_in_turn[0.7-BAOAB]"),
        ("the score of the step before", "x + letter.factor * p, None", "x + letter.factor * p, s",
         f"{KINETIC}test_a_step_is_its_letters_in_turn[0.7-BAOAB]"),
        ("a score kept though x has moved", 'self.scheme.rfind("B") > self.scheme.rfind("A")', "True",
         f"{RUNS}test_a_kinetic_run_is_the_iterated_step_bit_for_bit[float64-BAOA-a function]"),
        ("momenta beyond floats go unseen", "x[~np.isfinite(p).all(axis=1)] = np.nan", "pass",
         f"{RUNS}test_kinetic_chains_that_diverge_are_nan_from_there_and_the_others_go_on"),
    ),
    *_table(
        "samplers/kinetic_law.py",
        ("maps in the wrong order", "second.D + second.D @ first.D", "second.D + first.D @ second.D",
         f"{KINETIC}test_the_law_is_that_of_the_step_itself_iterated[0.9-1.0-BAOA]"),
        ("noise that the next letters leave alone", "moved @ second.D.swapaxes(1, 2) + second.Q", "second.Q",
         f"{KINETIC}test_what_the_schemes_settle_to_is_known_in_closed_form[1.0-0.7-1.0]"),
    ),
    *_table(
        "samplers/tuning.py",
        ("the last step for the average", "math.exp(search.average)]", "math.exp(search.log_h)]",
         f"{TEXT}[16-metropolis]"),
        ("no root of t", "math.sqrt(t) / GAMMA", "t / GAMMA",
         "samplers/test_tuning.py::test_dual_averaging_is_the_published_recursion"),
    ),
    *_table(
        "samplers/gradient_ascent.py",
        ("an absolute tolerance at every scale", "return min(max(1.0, root), 1e3 * root)", "return 1.0",
         "samplers/test_scales.py::test_ascent_finds_the_mode_at_every_scale[100]"),
        ("descent for ascent", "x + alpha * s.astype(", "x - alpha * s.astype(",
         "samplers/test_samplers.py::test_the_steps_are_their_formulas_in_the_type_of_x"),
    ),
    *_table(
        "fitting/optimizers.py",
        ("no bias correction of v", "v / (1 - beta2**t)", "v",
         "fitting/test_optimizers.py::test_adam_is_the_published_algorithm_parameter_by_parameter"),
        ("no bias correction of m", "1 / (1 - beta1**t)", "1",
         "fitting/test_optimizers.py::test_adam_is_the_published_algorithm_parameter_by_parameter"),
    ),
    *_table(
        "fitting/rows.py",
        ("the mean of four shards' means", "(len(x), job.n)", "(len(x), 4 * job.shard.x.shape[0])",
         "fitting/test_sharded.py::test_every_shard_draws_from_its_own_stream_block_after_block[ism]"),
        ("one stream for all shards", "spawn_key=(index,)", "spawn_key=(0,)",
         "fitting/test_sharded.py::test_a_seed_fixes_the_noise_and_no_two_shards_share_theirs"),
    ),
    *_table(
        "fitting/rows.py",
        ("conditions of other rows", "shard.cond[index]", "shard.cond[: len(index)]",
         "fitting/test_fitting_conditions.py::test_a_batch_has_the_conditions_of_its_rows"),
    ),
    *_table(
        "fitting/held_out.py",
        ("held-out conditions in another order", "fraction, rng=same_order)", "fraction, rng=rng)",
         "fitting/test_fitting_conditions.py::test_held_out_rows_keep_their_conditions[adam]"),
        ("a new draw at every held-out loss", "copy.deepcopy(self.rng)", "self.rng",
         "fitting/test_fitting_stops.py::"
         "test_held_out_rows_are_judged_by_the_objectives_own_loss_on_one_draw[adam-0.0-dsm]"),
    ),
    *_table(
        "fitting/lbfgs.py",
        ("a decrease that has units", "self.tolerance * max(abs(before), abs(loss))", "self.tolerance",
         "fitting/test_fitting_scale.py::test_an_affine_score_finds_its_minimum_in_any_units[1000000.0]"),
    ),
    *_table(
        "fitting/run.py",
        ("the parameters judged, not their average", "loss(self.model._with_theta(state.average))",
         "loss(self.model._with_theta(state.theta))",
         "fitting/test_fitting_stops.py::test_the_average_is_what_is_judged_and_returned"),
    ),
    *_table(
        "fitting/shards.py",
        ("a view taken for the whole map", " + _address(array) - _address(root)", "",
         "fitting/test_shards.py::test_of_a_memory_map_only_its_place_is_sent[rows-<f8-C]"),
    ),
    *_table(
        "diagnostics/distances.py",
        ("energy distance without its 2", "2.0 * _mean_distance(x, y) - within_x",
         "_mean_distance(x, y) - within_x",
         "diagnostics/test_diagnostics.py::test_energy_distance_is_its_definition_pair_by_pair"),
        ("distances squared in the units of the data", "(y, exponent), varying, exponent", "(y, 0), varying, 0",
         "diagnostics/test_scale.py::test_what_overflowed_or_vanished_when_squared[1e+170]"),
    ),
    *_table(
        "diagnostics/mixing.py",
        ("spreads squared in the units of the data", "unit = in_units(x, exponent)", "unit, exponent = 1 * x, 0",
         "diagnostics/test_scale.py::test_chains_that_hardly_move_beside_how_far_they_are_apart[1e-300]"),
        ("R-hat without the within term", "np.hypot(np.sqrt((h - 1) / h), ratio)", "ratio",
         "diagnostics/test_mixing.py::test_all_are_their_formulas_draw_by_draw"),
    ),
    *_table(
        "diagnostics/mixing.py",
        ("autocovariances of divisor h - 1", "(1.0 - (h - 1) / h * _mean_auto", "(1.0 - _mean_auto",
         "diagnostics/test_mixing.py::test_all_are_their_formulas_draw_by_draw"),
        ("nothing counted at the cut", "where=before) - 1.0 + even", "where=before) - 1.0",
         "diagnostics/test_mixing.py::test_all_are_their_formulas_draw_by_draw"),
        ("quantiles of the halves for those of all draws", "shares = below(draws, probability)",
         "shares = below(np.delete(draws, len(draws) // 2, axis=0) if len(draws) % 2 else draws, probability)",
         "diagnostics/test_mixing.py::test_all_are_their_formulas_draw_by_draw"),
        ("a standard error with n for n - 1", "np.sqrt(len(draws) - 1)", "np.sqrt(len(draws))",
         "diagnostics/test_mixing.py::test_all_are_their_formulas_draw_by_draw"),
    ),
    *_table(
        "diagnostics/ranks.py",
        ("ties at their last rank", "(last - 0.5 * (counts - 1))", "last",
         "diagnostics/test_ranks.py::test_all_are_arvizs_on_rounded_draws_by_loops"),
        ("ranks over N + 1", "(ranks - 0.375) / (len(ranks) + 0.25)", "ranks / (len(ranks) + 1)",
         "diagnostics/test_mixing.py::test_all_are_their_formulas_draw_by_draw"),
    ),
    *_table(
        "diagnostics/stein.py",
        ("the cross term's sign", "+ 2 * k1 * cross", "- 2 * k1 * cross", STEIN),
        ("d left out", "- 2 * d * k1", "- 2 * k1", STEIN),
        ("2 for 4 at the second derivative", "- 4 * k2_squared", "- 2 * k2_squared", STEIN),
        ("the diagonal left in", "(total - _diagonal(rows)) / n", "total / n", STEIN),
        ("signs on one side only", "everywhere @ u.T", "np.ones_like(everywhere) @ u.T",
         "diagnostics/test_stein.py::test_the_p_value_is_a_count"),
        ("units forgotten", "math.ldexp(value * 2.0 ** (power - whole), whole)", "value",
         "diagnostics/test_stein.py::test_it_is_the_same_in_other_units_where_c_follows[40]"),
    ),
    *_table(
        "density/stored.py",
        ("Langevin where MALA was asked for", "    if plan.mala:\n", "    if False:\n",
         "density/test_stored.py::test_mala_has_no_bias_where_langevin_has_one"),
    ),
    *_table(
        "datasets/rounding.py",
        ("jitter a variance, not a deviation", "x + sd * rng", "x + np.sqrt(sd) * rng",
         "datasets/test_dequantise.py::test_dequantise_is_x_plus_jitter_times_normal_noise"),
        ("the ripple's information without its half", "return 0.5 * height * height", "return height * height",
         "datasets/test_dequantise.py::test_half_a_step_of_noise_leaves_a_sine_worth_ten_gaussians_and_three_quarters_none"
         "[0.5-10.2]"),
        ("the finest of several grids", "coarsest_step(distinct, counts) if", "grid_step(distinct) if",
         "datasets/test_rounding.py::test_of_several_grids_the_coarsest_is_found[3000-half at 0.1, half at 0.001]"),
    ),
    *_table(
        "datasets/_grid.py",
        ("a coarser grid by chance", "MIN_HEAPS = 6", "MIN_HEAPS = 3",
         "datasets/test_rounding.py::test_bounds_and_zeros_in_continuous_data_are_atoms_and_no_grid[400]"),
    ),
    *_table(
        "datasets/standardise.py",
        ("score times the scale", "_wide(score) / self.scale", "_wide(score) * self.scale",
         "datasets/test_standardise.py::test_chain_rule_for_scores"),
    ),
    *_table(
        "checks.py",
        ("a complex step that forgets to divide", "value.imag / step", "value.imag",
         "test_checks.py::test_complex_step_gradient_is_right_to_rounding_in_every_type"),
    ),
    *_table(
        "conformance/untrusted.py",
        ("JSON of any depth", "_depth(data) > DEPTH", "_depth(data) > 10**9",
         "conformance/test_conformance_hostile.py::test_a_reply_that_cannot_be_used_costs_its_own_case_only[800 deep]"),
        ("escape sequences printed as they are", "c if c.isprintable() else", "c if True else",
         "conformance/test_conformance_hostile.py::test_a_reply_that_cannot_be_used_costs_its_own_case_only[escapes]"),
    ),
    *_table(
        "conformance/offline.py",
        ("a damaged result taken for a case left out", "return missing if self.unreadable else 0", "return 0",
         "conformance/test_conformance_results.py::test_damaged_lines_are_said_and_the_rest_is_graded"),
    ),
    *_table(
        "conformance/process.py",
        ("the program killed without its children", "os.killpg(child.pid,", "os.kill(child.pid,",
         "conformance/test_conformance_runner.py::test_no_child_of_the_program_outlives_it"),
        ("a line of any length kept", "data[: self._room - len(self._part)]", "data",
         "conformance/test_conformance_hostile.py::test_a_reply_of_60_megabytes_takes_little_memory"),
    ),
    *_table(
        "conformance/signals.py",
        ("a deferred signal is lost", "signal.raise_signal(number)", "pass",
         "conformance/test_conformance_hostile.py::test_a_deferred_signal_arrives_after_the_block"),
    ),
    *(mistake for file, rows in DIFFUSION.items() for mistake in _table(f"diffusion/{file}", *rows)),
]  # fmt: skip


def run_tests(folder: str, tests: list[str]) -> tuple[int, str]:
    """pytest's exit code and output for ``tests`` on the npscore in ``folder``; for a process of its own."""
    import pytest

    sys.path.insert(0, folder)
    tests_folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    output = io.StringIO()
    options = ["-q", "--assert=plain", "--tb=line", "--hypothesis-profile=unshrunk", "-p", "no:cacheprovider"]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = int(pytest.main([*options, *(os.path.join(tests_folder, test) for test in tests)]))
    imported = sys.modules["npscore"].__file__
    if not imported.startswith(folder):
        raise ImportError(f"the npscore in {folder} was to be tested, got {imported}")
    return code, output.getvalue()
