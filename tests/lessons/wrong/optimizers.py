"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np

from tinyunet import functional as F


def adam(**slip):
    """Build a step of Adam with one slip."""

    def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
        t = 1 if slip.get("no power") else t
        m = beta1 * m + (1 if slip.get("sum") else 1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g if slip.get("no square") else g**2)
        if slip.get("uncorrected"):
            m_hat, v_hat = m, v
        else:
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        if slip.get("eps inside"):
            step = m_hat / np.sqrt(v_hat + eps)
        elif slip.get("no root"):
            step = m_hat / (v_hat + eps)
        else:
            step = m_hat / (np.sqrt(np.abs(v_hat)) + eps)
        w = w + lr * step if slip.get("uphill") else w - lr * step
        return (w, m_hat, v_hat) if slip.get("keeps corrected") else (w, m, v)

    return adam_step


def batch_norm(axes=(0, 2, 3), outside=False, learned=True):
    def normalize(y, gamma, beta, eps):
        mean, variance = y.mean(axes, keepdims=True), y.var(axes, keepdims=True)
        z = (y - mean) / (np.sqrt(variance) + eps if outside else np.sqrt(variance + eps))
        return gamma[:, None, None] * z + beta[:, None, None] if learned else z

    return normalize


def loop(*parts):
    """Build a training loop that does only these parts, in this order."""

    def learn(model, optimizer, images, masks, steps):
        losses = []
        for _ in range(steps):
            for part in parts:
                if part == "zero":
                    optimizer.zero_grad()
                elif part == "loss":
                    loss = F.cross_entropy_dice(model(images), masks)
                elif part == "backward":
                    loss.backward()
                elif part == "step":
                    optimizer.step()
                elif part == "note":
                    losses.append(loss.item())
                elif part == "note after":
                    losses.append(F.cross_entropy_dice(model(images), masks).item())
                elif part == "note tensor":
                    losses.append(loss)
        return losses

    return learn


def cosine(factor):
    """Build a schedule from its warm-up."""
    return lambda t, T, warm_up: (1 + np.cos(np.pi * t / T)) / 2 * factor(t, warm_up)


WRONG = {
    "momentum_step": {
        "without a factor 1 - mu": lambda w, g, v, lr, mu: (w - lr * (mu * v + (1 - mu) * g), mu * v + (1 - mu) * g),
        "lr comes in when w moves": lambda w, g, v, lr, mu: (w - (mu * v + lr * g), mu * v + lr * g),
        "against the gradient": lambda w, g, v, lr, mu: (w + lr * (mu * v + g), mu * v + g),
        "new w first": lambda w, g, v, lr, mu: (mu * v + g, w - lr * (mu * v + g)),
        "v must change first": lambda w, g, v, lr, mu: (w - lr * v, mu * v + g),
        "return 2 things": lambda w, g, v, lr, mu: w - lr * (mu * v + g),
    },
    "two_adam_steps": {
        "w becomes smaller": (1.1, 1.0667),
        "are too small": (0.8419, 0.8992),
        "not by v-hat": (0.95, 0.9667),
        "remembers the first gradient": (0.9, 1.0),
        "t is 2 now": (0.9, 0.9363),
        "w moves by lr": (0.8, 0.8667),
    },
    "adam_step": {
        "uncorrected ones": adam(**{"keeps corrected": True}),
        "the gradient's square": adam(**{"no square": True}),
        "1 - beta1 times g": adam(sum=True),
        "bias correction is missing": adam(uncorrected=True),
        "outside of the root": adam(**{"eps inside": True}),
        "by the root of v-hat": adam(**{"no root": True}),
        "against m": adam(uphill=True),
        "to the power t": adam(**{"no power": True}),
    },
    "he_std": {
        "its root": lambda shape: 2 / np.prod(shape[1:]),
        "not the O": lambda shape: np.sqrt(2 / (shape[0] * shape[2] * shape[3])),
        "KH KW products": lambda shape: np.sqrt(2 / shape[1]),
        "halves the mean square": lambda shape: np.sqrt(1 / np.prod(shape[1:])),
    },
    "batch_norm": {
        "each channel has its own": batch_norm((0, 1, 2, 3)),
        "share one mean": batch_norm((2, 3)),
        "are missing": batch_norm(learned=False),
        "under the root": batch_norm(outside=True),
    },
    "cosine": {
        "step 0 is 1": lambda t, T, warm_up: (1 - np.cos(np.pi * t / T)) / 2,
        "cos(pi / 2)": lambda t, T, warm_up: (1 + np.cos(t / T)) / 2,
        "take min": cosine(lambda t, warm_up: (t + 1) / (warm_up + 1)),
        "would waste": cosine(lambda t, warm_up: min(1, t / warm_up) if warm_up else 1),
        "one fifth": cosine(lambda t, warm_up: 1),
        "the smaller of 1": cosine(lambda t, warm_up: (t + 1) / (warm_up + 1) if warm_up else 1),
    },
    "learn": {
        "a Tensor keeps": loop("zero", "loss", "backward", "step", "note tensor"),
        "one loss for each": loop("zero", "loss", "backward", "step"),
        "never changes": loop("zero", "loss", "backward", "note"),
        "still there": loop("loss", "backward", "step", "note"),
        "not after it": loop("zero", "loss", "backward", "step", "note after"),
    },
}
