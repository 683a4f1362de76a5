// Score matching in JavaScript, no packages, gradients by a tape: npscore conform run --cmd "node adapter.mjs"
// A worked example of the protocol of GUIDE.md: put your losses in the place of these, leave out what you do not have.
import { createInterface } from "node:readline";

// A number on the tape: its value, and the numbers it was made of, each with the derivative in it.
let tape = [];
const number = (value, ...from) => tape[tape.push({ value, from, grad: 0 }) - 1];
const add = (a, b) => number(a.value + b.value, [a, 1], [b, 1]);
const mul = (a, b) => number(a.value * b.value, [a, b.value], [b, a.value]);
const plus = (a, c) => number(a.value + c, [a, 1]);
const times = (a, c) => number(a.value * c, [a, c]);
const dot = (a, b) => a.map((ai, i) => (typeof b[i] === "number" ? times : mul)(ai, b[i])).reduce(add);
const half = (s) => times(dot(s, s), 0.5);

// φ, φ′ and φ″: the last for the gradient of what comes from the Jacobian.
const logistic = (z) => 1 / (1 + Math.exp(-z));
const slope = (z) => logistic(z) * logistic(-z);
const PHI = {
  identity: [(z) => z, () => 1, () => 0],
  square: [(z) => z * z, (z) => 2 * z, () => 2],
  tanh: [Math.tanh, (z) => 4 * slope(2 * z), (z) => -8 * Math.tanh(z) * slope(2 * z)],
  silu: [(z) => z * logistic(z), (z) => logistic(z) + z * slope(z), (z) => slope(z) * (2 - z * Math.tanh(z / 2))],
};

// s(x), and J v for each direction v, which goes through the layers beside x.
function network(layers, [phi, dphi, d2phi], x, directions = []) {
  let [a, ...tangents] = [x, ...directions].map((v) => v.map((vi) => number(vi)));
  layers.forEach(({ W, b }, l) => {
    a = W.map((row, i) => add(dot(row, a), b[i]));
    tangents = tangents.map((t) => W.map((row) => dot(row, t)));
    if (l === layers.length - 1) return;
    tangents = tangents.map((t) => t.map((ti, i) => mul(ti, number(dphi(a[i].value), [a[i], d2phi(a[i].value)]))));
    a = a.map((z) => number(phi(z.value), [z, dphi(z.value)]));
  });
  return [a, tangents];
}

// The loss of one row, from its inputs and `run`: the score and the products J v.
const OPERATIONS = {
  esm: ({ x, target }, run) => half(run(x)[0].map((sj, j) => plus(sj, -target[j]))),
  dsm({ x, noise, sigma }, run, { weighting }) {
    const [s] = run(x.map((xj, j) => xj + sigma * noise[j]));
    return times(half(s.map((sj, j) => plus(sj, noise[j] / sigma))), weighting === "sigma2" ? sigma ** 2 : 1);
  },
  ism({ x }, run) {
    const [s, columns] = run(x, x.map((_, k) => x.map((_, j) => (j === k ? 1 : 0))));
    return add(half(s), columns.map((column, k) => column[k]).reduce(add));
  },
  ssm_vr({ x, v }, run) {
    const [s, products] = run(x, v);
    return add(half(s), times(products.map((Jv, k) => dot(Jv, v[k])).reduce(add), 1 / v.length));
  },
};

const rows = (flat, width) => flat.flatMap((_, i) => (i % width ? [] : [flat.slice(i, i + width)]));
function answer({ input, model: { sizes, activation }, operation, convention }) {
  const values = (name) => input[name]?.integers.map((k) => k * 2 ** input[name].exponent) ?? []; // exact
  const leaf = (name) => values(name).map((t) => number(t));
  const layers = sizes.slice(1).map((_, l) => ({ W: rows(leaf(`W${l + 1}`), sizes[l]), b: leaf(`b${l + 1}`) }));
  const [sigma, weights, ...flat] = ["sigma", "weights", "x", "noise", "target_score", "v"].map(values);
  const [xs, noises, targets, vs] = flat.map((array) => rows(array, sizes[0]));
  const losses = xs.map((x, i) => {
    const v = vs.filter((_, k) => k % xs.length === i); // (m, n, d)
    const row = { x, v, noise: noises[i], target: targets[i], sigma: sigma[i] ?? sigma[0] };
    return OPERATIONS[operation](row, (...point) => network(layers, PHI[activation], ...point), convention);
  });
  const loss = dot(losses, weights.length ? weights : losses.map(() => 1 / xs.length));
  loss.grad = 1; // and back along the tape
  for (const node of tape.reverse()) for (const [from, slope] of node.from) from.grad += slope * node.grad;
  tape = []; // the next case starts on a new one
  const grad = layers.flatMap(({ W, b }) => [W, b]).flat(2).map((t) => t.grad); // W1, b1, W2, … in one vector
  return { loss: loss.value, per_sample: losses.map((l) => l.value), grad };
}
const say = (reply) => console.log(JSON.stringify(reply));
for await (const line of createInterface({ input: process.stdin })) {
  const { type, case: asked } = JSON.parse(line);
  if (type === "start") say({ type: "ready", operations: Object.keys(OPERATIONS) });
  else if (type === "run" && PHI[asked.model.activation]) say({ type: "result", id: asked.id, answer: answer(asked) });
  else if (type === "run") say({ type: "skipped", id: asked.id, reason: `no ${asked.model.activation} here` });
}
