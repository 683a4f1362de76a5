"""Score matching in PyTorch as a program: npscore conform run --cmd "python adapter_pytorch.py"

A worked example of the protocol of GUIDE.md; it needs PyTorch and nothing of npscore. Put your losses in the place
of these, and leave what you do not have out of OPERATIONS.
"""

import json
import sys

import torch

PHI = {
    "identity": lambda z, beta: z,
    "square": lambda z, beta: z**2,
    "cube": lambda z, beta: z**3,
    "softplus": lambda z, beta: torch.logaddexp(beta * z, torch.zeros_like(z)) / beta,
    "isru": lambda z, beta: z / torch.sqrt(1 + z**2),
    **{f.__name__: lambda z, beta, f=f: f(z) for f in (torch.tanh, torch.sigmoid, torch.sin, torch.erf)},
    **{f.__name__: lambda z, beta, f=f: f(z) for f in (torch.nn.functional.silu, torch.nn.functional.gelu)},
}


def esm(score, a, case):
    return 0.5 * ((score(a["x"]) - a["target_score"]) ** 2).sum(1)


def dsm(score, a, case):
    sigma = a["sigma"].reshape(-1, 1)  # one for all rows, or one a row
    loss = 0.5 * ((score(a["x"] + sigma * a["noise"]) + a["noise"] / sigma) ** 2).sum(1)
    return loss * sigma[:, 0] ** 2 if case["convention"]["weighting"] == "sigma2" else loss


def ism(score, a, case):
    units = torch.eye(a["x"].shape[1], dtype=a["x"].dtype)
    products = [torch.func.jvp(score, (a["x"],), (e.expand_as(a["x"]),))[1] for e in units]
    return 0.5 * (score(a["x"]) ** 2).sum(1) + sum(Je[:, k] for k, Je in enumerate(products))


def ssm(score, a, case):
    s = score(a["x"])
    square = (s**2).sum(1) if case["operation"] == "ssm_vr" else (a["v"] * s).sum(2) ** 2
    forms = torch.stack([(v * torch.func.jvp(score, (a["x"],), (v,))[1]).sum(1) for v in a["v"]])
    return (0.5 * square + forms).mean(0)


OPERATIONS = {"esm": esm, "dsm": dsm, "ism": ism, "ssm": ssm, "ssm_vr": ssm}


def answer(case, dtype):
    a = {}
    for name, array in case["input"].items():
        integers = torch.tensor(array["integers"], dtype=dtype).reshape(array["shape"])
        a[name] = integers * 2.0 ** array["exponent"]  # exact, in float32 too
    depth, phi = len(case["model"]["sizes"]) - 1, PHI[case["model"]["activation"]]
    theta = {name: a[name].requires_grad_() for l in range(1, depth + 1) for name in (f"W{l}", f"b{l}")}

    def score(x):
        for l in range(1, depth):
            x = phi(x @ a[f"W{l}"].T + a[f"b{l}"], a.get("beta"))
        return x @ a[f"W{depth}"].T + a[f"b{depth}"]

    per_sample = OPERATIONS[case["operation"]](score, a, case)
    loss = a["weights"] @ per_sample if "weights" in a else per_sample.mean()
    grads = torch.autograd.grad(loss, tuple(theta.values()))
    numbers = {"loss": loss, "per_sample": per_sample, **{f"grad.{k}": g for k, g in zip(theta, grads)}}
    return {name: value.tolist() for name, value in numbers.items()}


for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "stop":
        break
    try:
        if message["type"] == "start":
            dtype, reply = getattr(torch, message["dtype"]), {"type": "ready", "operations": list(OPERATIONS)}
        else:
            reply = {"type": "result", "answer": answer(message["case"], dtype)}
    except Exception as error:
        reply = {"type": "error", "message": repr(error)}
    print(json.dumps(reply), flush=True)
