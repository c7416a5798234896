"""Trains a neuron for each of 200 shops in two threads at once, and compares with gdfast's own function."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import segments

import gdfast

rng = np.random.default_rng(0)
sizes = rng.integers(50, 2000, size=200)
starts = np.concatenate([[0], np.cumsum(sizes)])
X = rng.normal(size=(starts[-1], 6)).astype(np.float32)
truth = rng.normal(size=(len(sizes), 7))  # each shop has weights and a bias of its own
shop = np.repeat(np.arange(len(sizes)), sizes)
chance = 1.0 / (1.0 + np.exp(-(X * truth[shop, :6]).sum(axis=1) - truth[shop, 6]))
y = (rng.random(len(X)) < chance).astype(np.float64)

# Two halves of the shops, each in a Python thread: the loops run without the GIL.
halves = [starts[:101], starts[100:]]
with ThreadPoolExecutor(2) as pool:
    fits = pool.map(lambda part: segments.fit(X[part[0] : part[-1]], y[part[0] : part[-1]], part - part[0]), halves)
weights, n_epochs = (list(column) for column in zip(*fits, strict=True))
weights = np.concatenate(weights)
accuracy, best = ((segments.predict(X, starts, weights) > 0) == y).mean(), ((chance > 0.5) == y).mean()
print(f"{len(sizes)} neurons, {sum(n_epochs)} epochs, accuracy {accuracy:.3f}, the true weights' {best:.3f}")

same = 0
for s in range(len(sizes)):
    rows = slice(starts[s], starts[s + 1])
    result = gdfast.gradient_descent(X[rows], y[rows], loss="log_loss", alpha=1e-3, solver="auto", max_iter=100)
    same += bool((np.append(result.coef, result.intercept) == weights[s]).all())
print(f"{same} of them equal those of gdfast.gradient_descent to the last bit")
