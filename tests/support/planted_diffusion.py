"""Mistakes to plant in npscore/diffusion, most of them seen in public code: sources in the comments, by repository."""

TABLES = "diffusion/test_tables.py::test_a_table_is_its_sampler_written_out"
VP = "VP(beta_min=0.3, beta_max=11.0)"
ANCESTRAL, FORWARD = f"{TABLES}[ancestral-{VP}-score]", f"{TABLES}[ancestral forward-{VP}-score]"
DDIM, DDIM_06 = f"{TABLES}[ddim-{VP}-epsilon]", f"{TABLES}[ddim 0.6-{VP}-score]"
SDE, DENOISE = f"{TABLES}[reverse_sde-{VP}-score]", f"{TABLES}[reverse_sde denoise-{VP}-score]"
FLOW, HEUN = f"{TABLES}[probability_flow-{VP}-score]", f"{TABLES}[heun-{VP}-x0]"
EDM, CHURN = f"{TABLES}[edm-{VP}-v]", f"{TABLES}[edm churn-EDM()-score]"
ANNEALED = "diffusion/test_tables.py::test_annealed_langevin_written_out[score-EDM()]"
CORRECTOR = "diffusion/test_tables.py::test_predictor_corrector_written_out"
KICKS = "diffusion/test_law.py::test_law_is_unit_kicks_row_after_row"
DERIVATIVES = "diffusion/test_schedules.py::test_drift_and_diffusion_are_derivatives"
CLOSED = "diffusion/test_schedules.py::test_closed_marginals"
DENSITY = "diffusion/test_marginals.py::test_the_density_of_x_t_moves_as_fokker_and_planck_say"
SLOPES = "diffusion/test_marginals.py::test_slopes_are_derivatives_without_cancellation"
COMPOSE = "diffusion/test_schedules.py::test_transitions_are_the_marginals_and_compose"
BETAS = "diffusion/test_schedules.py::test_beta_schedules_are_the_published_ones"
KARRAS = "diffusion/test_schedules.py::test_karras_levels"
POSTERIOR = "diffusion/test_schedules.py::test_the_posterior_is_joint_gaussian_conditioning"
FORM = "diffusion/test_score.py::test_a_form_at_its_own_target_is_the_denoising_score"
CONVERT = "diffusion/test_score.py::test_outputs_convert_among_each_other"
TRACE = "diffusion/test_score.py::test_trace_quadratic_form_and_gradients_are_complex_steps[edm-hidden1]"
FEATURES = "diffusion/test_score.py::test_sinusoidal_is_the_peers_formula"
WEIGHTING = "diffusion/test_denoising.py::test_a_weighting_is_the_loss_it_is_named_after"
BOUND = "diffusion/test_bound.py::test_each_term_is_the_kl_of_two_gaussians_at_every_row"
THREE_WAYS = "diffusion/test_bound.py::test_the_bound_three_ways"
LIKELIHOOD = "diffusion/test_likelihood.py::test_of_a_gaussian_the_flow_is_a_scaling[Flow()]"
PRIOR = "diffusion/test_likelihood.py::test_the_prior_that_stands_for_the_noisy_end"
SHARED_VP = "VP(beta_min=0.3, beta_max=7.0)"
SUB_VP = "SubVP(beta_min=0.1, beta_max=20.0)"

#: file: (name, right, wrong, test, …)
DIFFUSION = {
    "rows.py": (
        # DDPM's step
        ("standard deviation is the variance", "0.0, float(np.sqrt(noise)))", "0.0, float(noise))",
         ANCESTRAL),  # acids-ircam/diffusion_models#1
        ("the forward variance under the posterior's name", '{"posterior": e.from_posterior,', '{"posterior": e.w,',
         ANCESTRAL),  # zoubohao/DenoisingDiffusionProbabilityModel-ddpm-#18
        ("posterior variance undivided", "return (self.sigma_s / self.sigma_t) ** 2 * self.w",
         "return self.sigma_s**2 * self.w", ANCESTRAL),  # varun-ml/diffusion-models-tutorial PR#1
        ("posterior variance's ratio inverted", "return (self.sigma_s / self.sigma_t) ** 2 * self.w",
         "return (self.sigma_t / np.maximum(self.sigma_s, 0.1)) ** 2 * self.w", ANCESTRAL),
        ("noise in the last step", "if e.sigma_s > 0 else 0.0", "if e.sigma_s >= 0 else 0.0",
         FORWARD),  # asked in TeaPearce/Conditional_Diffusion_MNIST#10
        ("posterior's coefficients swapped", "e.mixed(of_x, e.alpha_s * e.w / e.sigma_t**2,",
         "e.mixed(e.alpha_s * e.w / e.sigma_t**2, of_x,", ANCESTRAL),
        ("root of alpha missing", "of_x = e.r * (e.sigma_s", "of_x = (e.sigma_s", ANCESTRAL),
        ("alpha squared for its root", "of_x = e.r * (e.sigma_s", "of_x = e.r**2 * (e.sigma_s", ANCESTRAL),
        ("1 - alpha-bar for 1 - alpha", "e.mixed(of_x, e.alpha_s * e.w / e.sigma_t**2,", "e.mixed(of_x, e.alpha_s,",
         ANCESTRAL),  # labmlai/annotated_deep_learning_paper_implementations#152
        ("no noise", "0.0, float(np.sqrt(noise)))", "0.0, 0.0)", ANCESTRAL),
        # DDIM's
        ("direction without the noise's share", "(1.0 - eta**2) * e.w +", "e.w +", DDIM_06),
        ("eta unsquared in the direction", "(1.0 - eta**2) * e.w +", "(1.0 - eta) * e.w +",
         DDIM_06),  # inbarhub/DDPM_inversion#12
        ("noise not scaled by eta", "float(eta * np.sqrt(e.from", "float(np.sqrt(e.from", DDIM_06),
        ("root of eta in the noise", "float(eta * np.sqrt(e.from", "float(np.sqrt(eta) * np.sqrt(e.from", DDIM_06),
        ("noise of eta root 1 - alpha-bar", "float(eta * np.sqrt(e.from_posterior))", "float(eta * e.sigma_s)",
         DDIM_06),  # jsboige/CoursIA PR#16158
        ("variance of one step where steps are skipped",
         "columns = (alpha[:-1], sigma[:-1], alpha[1:], sigma[1:], r, w)",
         "columns = (alpha[:-1], sigma[:-1], alpha[1:], sigma[1:], r, 0 * w + 0.1)",
         f"{TABLES}[ancestral-Discrete(T=12)-score]"),  # huggingface/diffusers#5130
        ("alpha-bar of the neighbour", "alpha[1:], sigma[1:], r, w)", "alpha[:-1], sigma[1:], r, w)",
         DDIM),  # lucidrains/denoising-diffusion-pytorch#18
        # the reverse SDE
        ("half the score in the SDE", "0.0, -h * g2 / e.sigma_t, float", "0.0, -0.5 * h * g2 / e.sigma_t, float",
         SDE),
        ("score's sign", "0.0, -h * g2 / e.sigma_t, float", "0.0, h * g2 / e.sigma_t, float",
         SDE),  # atong01/conditional-flow-matching#85
        ("g for g squared", "0.0, -h * g2 / e.sigma_t, float", "0.0, -h * np.sqrt(g2) / e.sigma_t, float", SDE),
        ("drift's sign", "e.mixed(1.0 - h * f, 0.0", "e.mixed(1.0 + h * f, 0.0", SDE),
        ("no drift", "e.mixed(1.0 - h * f, 0.0", "e.mixed(1.0, 0.0", SDE),
        ("root of h missing in the noise", "float(np.sqrt(g2 * h)) if noise", "float(np.sqrt(g2)) if noise", SDE),
        ("h for its root in the noise", "float(np.sqrt(g2 * h)) if noise", "float(h * np.sqrt(g2)) if noise", SDE),
        ("g squared in the noise", "float(np.sqrt(g2 * h)) if noise", "float(g2 * np.sqrt(h)) if noise", SDE),
        ("root 2 in the noise", "float(np.sqrt(g2 * h)) if noise", "float(np.sqrt(2 * g2 * h)) if noise", SDE),
        ("coefficients at arrival", "f, g2 = float(e.schedule.f(e.t)), float(e.schedule.g2(e.t))",
         "f, g2 = float(e.schedule.f(e.s)), float(e.schedule.g2(e.s))", SDE),
        # the probability flow
        ("time runs on in the flow", "return e.mixed(1.0, -h * dalpha, -h * dsigma, 0.0)",
         "return e.mixed(1.0, h * dalpha, h * dsigma, 0.0)", FLOW),  # hustvl/LightningDiT#89
        ("the flow without half of its score", "-h * dalpha, -h * dsigma, 0.0)", "-h * dalpha, -2 * h * dsigma, 0.0)",
         FLOW),
        ("noise kept in the flow", "-h * dalpha, -h * dsigma, 0.0)", "-h * dalpha, -h * dsigma, float(np.sqrt(h)))",
         FLOW),
        ("Heun's second slope at the first time", "map(float, e.schedule.slopes(e.s))",
         "map(float, e.schedule.slopes(e.t))", HEUN),
        ("Heun's half missing", "last = [-0.5 * h", "last = [-h", HEUN),
        # EDM's
        ("Heun's second slope at the raised level", "_, _, u_s, w_s, _ = reading(e.of, e.alpha_s, e.sigma_s)",
         "_, _, u_s, w_s, _ = reading(e.of, alpha, sigma)", EDM),  # huggingface/diffusers PR#1512
        ("EDM's half missing", "half = 0.5 * e.alpha_s * move", "half = e.alpha_s * move", EDM),
        ("churn by the difference of levels", "np.sqrt(gamma * (2.0 + gamma)) * level", "gamma * level", CHURN),
        ("S_noise left out", "float(s_noise * np.sqrt(gamma", "float(np.sqrt(gamma",
         CHURN),  # AUTOMATIC1111/stable-diffusion-webui#8501
        ("S_noise squared", "float(s_noise * np.sqrt(gamma", "float(s_noise**2 * np.sqrt(gamma", CHURN),
        ("churn without noise", "float(s_noise * np.sqrt(gamma", "float(0 * np.sqrt(gamma", CHURN),
        ("a step from the level before churn", "move = next_level - raised", "move = next_level - level", CHURN),
        ("the network asked at the level before churn", "return HeunRow(t, e.s, *map(float, start), False",
         "return HeunRow(e.t, e.s, *map(float, start), False", CHURN),
        # Langevin
        ("noise of root alpha", "float(np.sqrt(2.0 * step)))", "float(np.sqrt(step)))", ANNEALED),
         # google-research/ibc#6
        ("drift halved", "-step / ends.sigma_t,", "-0.5 * step / ends.sigma_t,", ANNEALED),
         # point0bar1/ebm-anatomy#1
        ("the last step by sigma for sigma squared", "return ends.mixed(1.0, 0.0, -ends.sigma_t, 0.0)",
         "return ends.mixed(1.0, 0.0, -1.0, 0.0)", ANNEALED),
        ("snr unsquared", "row.scale * (row.snr * mean_z / mean_s) ** 2",
         "row.scale * row.snr * (mean_z / mean_s) ** 2",
         f"{CORRECTOR}[EDM()]"),
        ("2 of the corrector missing", "return 2.0 * row.scale", "return row.scale", f"{CORRECTOR}[EDM()]"),
        ("the corrector's ratio inverted", "row.snr * mean_z / mean_s", "row.snr * mean_s / mean_z",
         f"{CORRECTOR}[EDM()]"),
        ("root mean square of norms", 'np.sqrt(np.einsum("nd,nd->n", a, a)).mean()',
         'np.sqrt(np.einsum("nd,nd->n", a, a).mean())', f"{CORRECTOR}[EDM()]"),
        ("the norm of all rows together", 'np.sqrt(np.einsum("nd,nd->n", a, a)).mean()',
         'np.linalg.norm(a)', f"{CORRECTOR}[Discrete(T=12)]"),
    ),
    "tables.py": (
        ("the larger of two gammas", "most = min(churn / len(steps), np.sqrt(2.0) - 1.0)",
         "most = max(churn / len(steps), np.sqrt(2.0) - 1.0)", CHURN),  # Koishi-Star/Euler-Smea-Dyn-Sampler#11
        ("S_tmin and S_tmax ignored", "if s_tmin <= ends.sigma_t / ends.alpha_t <= s_tmax else 0.0", "",
         CHURN),  # crowsonkb/k-diffusion#6
        ("ratio of levels unsquared", "float(level.sigma_t / levels[-1].sigma_t) ** 2",
         "float(level.sigma_t / levels[-1].sigma_t)", ANNEALED),
        ("steps relative to the first level", "float(level.sigma_t / levels[-1].sigma_t) ** 2",
         "float(level.sigma_t / levels[0].sigma_t) ** 2", ANNEALED),
        ("the same step at every level", "step * float(level.sigma_t / levels[-1].sigma_t) ** 2", "step", ANNEALED),
        ("corrector scaled by alpha-bar", "1.0 - float(schedule.beta[row.s - 1])",
         "float(schedule.alpha(row.s)) ** 2",
         f"{CORRECTOR}[Discrete(T=12)]"),  # yang-song/score_sde_pytorch#73
        ("corrector's beta of the neighbour", "schedule.beta[row.s - 1]", "schedule.beta[row.s]",
         f"{CORRECTOR}[Discrete(T=12)]"),  # ermongroup/SDEdit PR#10
        ("noise kept in the denoising step", "rows.reverse_sde_row(last, not denoise)",
         "rows.reverse_sde_row(last, True)",
         DENOISE),
    ),
    "schedule.py": (
        ("the posterior's variance from the noisier time",
         "return Posterior((r * ratio)[()], coef_x0[()], (ratio * w)[()])",
         "return Posterior((r * ratio)[()], coef_x0[()], w[()])", f"{POSTERIOR}[{SUB_VP}]"),
    ),
    "schedules.py": (
        ("integral unhalved", "self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * (t * t)",
         "self.beta_min * t + (self.beta_max - self.beta_min) * (t * t)", CLOSED),
        ("the exponent a quarter", "return -0.5 * (self.beta_min * t", "return -0.25 * (self.beta_min * t", CLOSED),
        ("drift unhalved", "return -0.5 * self._beta(t)", "return -self._beta(t)", f"{DENSITY}[0.3-{SHARED_VP}]"),
        ("drift's sign in VP", "return -0.5 * self._beta(t)", "return 0.5 * self._beta(t)",
         f"{DENSITY}[0.3-{SHARED_VP}]"),
        ("root of sub-VP's sigma", "return -np.expm1(2.0 * self._log_alpha(t))",
         "return np.sqrt(-np.expm1(2.0 * self._log_alpha(t)))", CLOSED),
        ("sub-VP's discount of alpha squared", "return -self._beta(t) * np.expm1(4.0 *",
         "return -self._beta(t) * np.expm1(2.0 *",
         f"{DENSITY}[0.3-{SUB_VP}]"),
        ("VE's g squared without 2 log", "return (2.0 * self._log_R * self.sigma_min**2)",
         "return (self.sigma_min**2)",
         f"{DENSITY}[0.3-VE(sigma_min=0.1, sigma_max=6.0, exact=False)]"),  # deepinv/deepinv#775
        ("VE's kernel less sigma_min squared", "return self.sigma_min * np.exp(self._log_R * t)",
         "return self.sigma_min * np.sqrt(np.expm1(2 * self._log_R * t))", CLOSED),
        ("EDM's g squared without its 2", "return 2.0 * t\n", "return 1.0 * t\n", f"{DENSITY}[0.3-EDM()]"),
        ("the cosine's offset left out", "return 0.5 * np.pi / (1.0 + self.offset)", "return 0.5 * np.pi",
         f"{DENSITY}[0.3-Cosine(offset=0.1)]"),
        ("the flow's half missing in a slope", "half_beta * alpha**2 / self._sigma(t)",
         "2 * half_beta * alpha**2 / self._sigma(t)", f"{SLOPES}[{SHARED_VP}]", FLOW),
        ("a prior N(0, I) for VE", "float(np.real(self.sigma(t)))\n\n\n@dataclass(frozen=True)\nclass EDM",
         "1.0\n\n\n@dataclass(frozen=True)\nclass EDM",
         f"{PRIOR}[VE(sigma_min=0.1, sigma_max=60.0, exact=False)]"),  # harryjo97/GDSS#26
    ),
    "discrete.py": (
        ("roots of the schedule's square roots", "np.sqrt(factor * start), np.sqrt(factor * end), T) ** 2",
         "factor * start, factor * end, T)", BETAS),  # Comfy-Org/ComfyUI#1998
        ("betas not rescaled", "1000.0 / T if as_flag", "1.0 if as_flag", BETAS),  # NVlabs/I2SB#11
        ("cosine capped at 0.02", "np.minimum(Cosine(s).transition(grid[1:], grid[:-1]).w, cap)",
         "np.minimum(Cosine(s).transition(grid[1:], grid[:-1]).w, 0.02)", BETAS),  # openai/guided-diffusion#42
        ("cosine unsquared", "Cosine(s).transition(grid[1:], grid[:-1]).w, cap)",
         "1 - Cosine(s).transition(grid[1:], grid[:-1]).r, cap)", BETAS),
        ("rho inverted", "np.linspace(high ** (1 / rho), low ** (1 / rho), n) ** rho",
         "np.linspace(high**rho, low**rho, n) ** (1 / rho)", KARRAS),
        ("levels ascending", "return np.append(levels, 0.0)", "return np.append(0.0, levels[::-1])",
         KARRAS),  # huggingface/diffusers#5077
        ("the 0 missing", "return np.append(levels, 0.0)", "return levels", KARRAS),  # crowsonkb/k-diffusion PR#23
        ("sigma is its square", "np.exp(log_alpha), np.sqrt(-np.expm1(2.0 * log_alpha))",
         "np.exp(log_alpha), -np.expm1(2.0 * log_alpha)",
         "diffusion/test_schedules.py::test_ddpm_in_fractions"),  # huggingface/diffusion-models-class#18
        ("first step taken for clean data", "0.5 * np.concatenate([[0.0], np.cumsum(self._logs[:-1])])",
         "0.5 * np.concatenate([[0.0, 0.0], np.cumsum(self._logs[:-2])])",
         "diffusion/test_schedules.py::test_ddpm_in_fractions"),  # Project-MONAI/GenerativeModels#489
        ("sum for product of alphas", "0.5 * np.concatenate([[0.0], np.cumsum(self._logs[:-1])])",
         "0.5 * np.concatenate([[0.0], np.log(np.maximum(1 - np.cumsum(self.beta), 0.1))])",
         "diffusion/test_schedules.py::test_ddpm_in_fractions"),
    ),
    "forms.py": (
        ("sign of v", "return Reading(alpha / square, -sigma / square,",
         "return Reading(alpha / square, sigma / square,",
         f"{FORM}[v-EDM()]"),  # huggingface/diffusers PR#1421
        ("alpha and sigma of v swapped", "return alpha * noise - sigma * x0", "return sigma * noise - alpha * x0",
         f"{FORM}[v-EDM()]"),
        ("Tweedie without alpha", "return Reading(1.0 / alpha, -sigma * w / alpha, zero, w, one)",
         "return Reading(one, -sigma * w, zero, w, one)", DDIM),
        ("divided by alpha-bar", "return Reading(1.0 / alpha, -sigma * w / alpha, zero, w, one)",
         "return Reading(1.0 / alpha**2, -sigma * w / alpha**2, zero, w, one)", DDIM),
        ("noise by sigma squared", "return Reading(1.0 / alpha, -sigma * w / alpha, zero, w, one)",
         "return Reading(1.0 / alpha, -(sigma**2) * w / alpha, zero, w, one)", DDIM),
        ("score by the variance", "return -u / sigma, -w / sigma, c", "return -u / sigma**2, -w / sigma**2, c",
         f"{FORM}[edm-EDM()]"),  # pals-ttic/sjc#6 asks
        ("the score's sign of a form", "return -u / sigma, -w / sigma, c", "return u / sigma, w / sigma, c",
         f"{FORM}[edm-EDM()]"),  # sp-uhh/sgmse#78
        ("score undivided", "return -u / sigma, -w / sigma, c", "return -u, -w, c",
         f"{FORM}[edm-EDM()]"),  # yang-song/score_sde_pytorch#12
        ("c_skip unsquared", "alpha * sigma_data**2 / square, sigma", "alpha * sigma_data / square, sigma",
         f"{FORM}[edm-EDM()]"),
        ("c_out unrooted", "sigma * sigma_data / root\n", "sigma * sigma_data / square\n", f"{FORM}[edm-EDM()]"),
        ("c_in left out", "-alpha * sigma_data / root, 1.0 / root)", "-alpha * sigma_data / root, one)",
         "diffusion/test_score.py::test_the_network_is_asked_as_published[EDM()]"),  # huggingface/diffusers#7046
    ),
    "embeddings.py": (
        ("c_noise without its quarter", "return 0.25 * (np.log", "return (np.log", FEATURES),
         # Kinyugo/consistency_models#7
        ("frequencies over half for half - 1", "(-np.arange(half) / (half - 1))", "(-np.arange(half) / half)",
         FEATURES),  # hojonathanho/diffusion#15
        ("first step counted as 1", "(1.0, -1.0) if isinstance", "(1.0, 0.0) if isinstance", FEATURES),
        ("2 pi left out", "angle = 2 * np.pi * noise_feature", "angle = noise_feature",
         FEATURES),  # PredictiveIntelligenceLab/MultiscalePINNs#1
        ("cosines before sines", "angle = (scale * t + shift)[:, None] * 10000.0 ** (-np.arange(half) / (half - 1))\n"
         "        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)",
         "angle = (scale * t + shift)[:, None] * 10000.0 ** (-np.arange(half) / (half - 1))\n"
         "        return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)",
         FEATURES),  # flashinfer-ai/flashinfer PR#3819
        ("times in (0, 1) where 0 to 1000 are meant", "else (1000.0, 0.0)", "else (1.0, 0.0)", FEATURES),
         # sihyun-yu/REPA#40
    ),
    "denoising.py": (
        ("the larger of SNR and gamma", "least = np.minimum(square, gamma * noise)",
         "least = np.maximum(square, gamma * noise)",
         f"{WEIGHTING}[min_snr-epsilon-EDM()]"),  # lucidrains/recurrent-interface-network-pytorch#11
        ("SNR inverted", "least = np.minimum(square, gamma * noise)", "least = np.minimum(noise, gamma * square)",
         f"{WEIGHTING}[min_snr-epsilon-EDM()]"),
        ("EDM's weight by the sum squared", "return 2.0 * noise * (noise + data) / data",
         "return 2.0 * noise * (np.sqrt(noise) + np.sqrt(data)) ** 2 / data",
         f"{WEIGHTING}[edm-edm-EDM()]"),  # lucidrains/alphafold3-pytorch#68
        ("EDM's weight left out", "return 2.0 * noise * (noise + data) / data", "return 2.0 * (noise / alpha) ** 2",
         f"{WEIGHTING}[edm-edm-EDM()]"),
        ("likelihood weight of g", "np.broadcast_to(schedule.g2(t), sigma.shape)",
         "np.broadcast_to(np.sqrt(schedule.g2(t)), sigma.shape)",
         "diffusion/test_denoising.py::test_likelihood_weighting_is_g_squared"),
        ("the simple loss with a half", "return noise if name == \"epsilon\" else 2.0 * noise", "return noise",
         f"{WEIGHTING}[simple-epsilon-EDM()]"),
        ("a mean weight times a mean error", "weighted = factor[rows, None] * residual",
         "weighted = factor.mean() * residual",
         f"{WEIGHTING}[epsilon-v-EDM()]"),  # bayesflow-org/bayesflow#787
        ("the clean x scaled twice", "noisy, condition = alpha * x + sigma * noise",
         "noisy, condition = alpha**2 * x + sigma * noise", f"{WEIGHTING}[score-v-Flow()]"),
        ("all rows of a draw from one stratum", "u = (rng.permutation(len(x)) + rng.random(len(x))) / len(x)",
         "u = rng.random(len(x))", "diffusion/test_denoising.py::test_times_are_stratified_and_have_their_law"),
    ),
    "bound.py": (
        ("the prior's 1 left out", "x0.shape[1] * (ratio - 1 - math.log(ratio))",
         "x0.shape[1] * (ratio - math.log(ratio))",
         BOUND),
        ("the prior's mean by alpha-bar", "(alpha / prior) ** 2 *", "(alpha / prior) ** 4 *", BOUND),
        ("the KL's arguments swapped", "ratio = beta_tilde / variances[k]", "ratio = variances[k] / beta_tilde",
         BOUND),
        ("a half missing in a step", "ell = 0.5 * _squares", "ell = _squares", BOUND),
        ("the log ratio's sign", "bracket = ratio - 1 - math.log(ratio)", "bracket = ratio - 1 + math.log(ratio)",
         BOUND),
        ("the variances' terms dropped", "bracket = ratio - 1 - math.log(ratio)", "bracket = 0.0", BOUND),
        ("a log of standard deviations", "bracket = ratio - 1 - math.log(ratio)",
         "bracket = ratio - 1 - 0.5 * math.log(ratio)", BOUND),
        ("a mean over dimensions", "* ell + 0.5 * d * bracket", "* ell + 0.5 * bracket",
         f"{THREE_WAYS}[EDM()-forward-None]"),
        ("the decoder without 2 pi", "math.log(2 * math.pi * tau1)", "math.log(tau1)", BOUND),
         # facebookresearch/DiT#52
        ("the decoder's log variance unhalved", "+ 0.5 * d * math.log(2 * math.pi * tau1)",
         "+ d * math.log(2 * math.pi * tau1)", BOUND),
        ("bits of another bin", "- math.log2(width))", "+ math.log2(width))",
         "diffusion/test_bound.py::test_bits_per_dimension"),  # yang-song/score_sde_pytorch#51
        ("nats for bits", "(d * math.log(2))", "d", "diffusion/test_bound.py::test_bits_per_dimension"),
    ),
    "likelihood.py": (
        ("the divergence's sign", "f * x.shape[1] - half_g2 * div", "f * x.shape[1] + half_g2 * div",
         LIKELIHOOD),  # HosseinEbrahimiK/ScNormFlows#1 asks
        ("the divergence left out", "f * x.shape[1] - half_g2 * div", "f * x.shape[1] - 0 * div", LIKELIHOOD),
        ("the drift's divergence once, not d times", "f * x.shape[1] - half_g2 * div", "f - half_g2 * div",
         LIKELIHOOD),
        ("half of g squared missing", "0.5 * float(schedule.g2(t)), field_at(t)",
         "float(schedule.g2(t)), field_at(t)", LIKELIHOOD),
        ("the prior without its 2 pi", "math.log(std * math.sqrt(2 * math.pi))", "math.log(std)", f"{PRIOR}[EDM()]"),
        ("the prior's 2 pi unhalved", "math.sqrt(2 * math.pi)", "(2 * math.pi)", f"{PRIOR}[EDM()]"),
        ("the fourth slope at the middle", "k4, d4 = there(x + h * k3)", "k4, d4 = middle(x + h * k3)",
         LIKELIHOOD),
    ),
    "law.py": (
        ("noise's variance by N", "+ noise**2 * np.eye(len(mean))", "+ noise * np.eye(len(mean))",
         f"{KICKS}[ancestral-{VP}-score]"),
        ("the score's mean without its precision", "score = Affine(-precision, precision @ p.mean)",
         "score = Affine(-precision, p.mean)", f"{KICKS}[ancestral-{VP}-score]"),
        ("Heun's noise twice", "return _mapped(M, shift, 0.0, mean, cov)",
         "return _mapped(M, shift, row.N, mean, cov)",
         f"{KICKS}[edm churn-EDM()-score]"),
    ),
    "sample.py": (
        ("Heun's noise left out in place", "_add(x, (row.L, x), *((row.N, z) for z in noise if row.N))",
         "_add(x, (row.L, x))",
         "diffusion/test_sample.py::test_a_run_is_the_step_in_a_loop[float64-1e-13-edm]"),
        ("chains corrected block by block", "return any(isinstance(row, CorrectorRow) for row in self.rows)",
         "return False",
         "diffusion/test_sample.py::test_predictor_corrector_moves_all_chains_together_and_has_no_law"),
        ("a network read in another form than the rows", "function_at = output_at(model, table.of)",
         'function_at = output_at(model, "score")',
         "diffusion/test_sample.py::test_a_network_of_any_form_is_its_score[ddim-v]"),
        ("EDM's network read as its own output", 'else "x0" if model.form == "edm" else "score"', 'else "score"',
         "diffusion/test_sample.py::test_from_the_very_end_with_the_network_s_own_form[edm-Flow()]"),
    ),
    "../models/scaled.py": (
        ("the Jacobian of c_in left out", "bc = _flat(b * c)\n        s, trace", "bc = _flat(b)\n        s, trace",
         TRACE),
        ("the skip's divergence left out", "self.d * _flat(a) + bc * div  #", "bc * div  #", TRACE),
        ("the skip's divergence once", "self.d * _flat(a) + bc * div  #", "_flat(a) + bc * div  #", TRACE),
        ("the skip's quadratic form left out", "_flat(a) * square + bc * q", "bc * q", TRACE),
        ("the cotangent not scaled by b", "lambda ds: pull(b * ds)", "lambda ds: pull(ds)", TRACE),
        ("the trace's cotangent not scaled by c_in", "pull(b * ds, bc * ddiv)", "pull(b * ds, _flat(b) * ddiv)",
         TRACE),
    ),
}  # fmt: skip
