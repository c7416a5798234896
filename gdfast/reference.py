"""The gradient descent rule in pure NumPy: a text to read, and the twin that the kernels are compared with.

A neuron reads n samples X (n, d), has weights w and a bias b, and answers z = Xw + b. How badly it answers is

    E(w, b) = sum_i s_i loss(y_i, z_i) / sum_i s_i  +  alpha * ((1 - l1_ratio)/2 ||w||^2 + l1_ratio ||w||_1)

The gradient of E has one element per weight: its sign says which way that weight moves the error up, its
magnitude how steeply. The rule steps the other way, and eta, the learning rate, scales the step:

    w <- w - eta * dE/dw

Four parts, from top to bottom: what one answer costs, what all of them cost and which way that falls, how a
step is made of it, and the loop. Nothing here is fast, and nothing here imports the engine.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Given = ArrayLike | None
Triple = tuple[Doubles, Doubles, Doubles]  # error, derivative, curvature
Memory = dict[str, Any]
Step = tuple[Doubles, Any]

# ---- 1. What one answer costs --------------------------------------------------------------------
# A loss takes raw scores z, targets y and its parameter and returns the error, its first and its second
# derivative in z, elementwise. Far out they saturate at 0 or infinity and never become NaN. At a kink the
# derivative follows from max(0, t) having slope 1 at t = 0.


def squared_error(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """Half the squared distance: least squares."""
    r = z - y
    return 0.5 * r * r, r, np.ones_like(r)


def absolute_error(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """The distance: the best constant answer is the median."""
    r = z - y
    return np.abs(r), np.sign(r), np.zeros_like(r)


def huber(z: Doubles, y: Doubles, epsilon: float) -> Triple:
    """Squared up to a distance of epsilon, linear beyond: outliers pull no harder than that."""
    r = z - y
    inside = np.abs(r) <= epsilon
    error = np.where(inside, 0.5 * r * r, epsilon * (np.abs(r) - 0.5 * epsilon))
    return error, np.clip(r, -epsilon, epsilon), np.where(inside, 1.0, 0.0)


def quantile(z: Doubles, y: Doubles, q: float) -> Triple:
    """Too low costs q a unit, too high 1 - q: the best constant answer is the q-quantile."""
    r = z - y
    slope = np.select([r > 0, r < 0], [1 - q, -q], 1 - 2 * q)
    return np.where(r > 0, (1 - q) * r, -q * r), slope, np.zeros_like(r)


def epsilon_insensitive(z: Doubles, y: Doubles, epsilon: float) -> Triple:
    """The distance to a tube of half-width epsilon around the target: support vector regression."""
    r = z - y
    beyond = np.abs(r) - epsilon
    return np.maximum(0, beyond), np.where(beyond >= 0, np.sign(r), 0), np.zeros_like(r)


def squared_epsilon_insensitive(z: Doubles, y: Doubles, epsilon: float) -> Triple:
    """The squared distance to that tube."""
    r = z - y
    beyond = np.maximum(0, np.abs(r) - epsilon)
    return beyond * beyond, 2 * beyond * np.sign(r), np.where(beyond > 0, 2.0, 0.0)


def poisson(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """Counts y >= 0 with mean exp(z): half the deviance, less what does not depend on z."""
    mean = np.exp(z)
    return np.where(np.isinf(mean), mean, mean - y * z), mean - y, mean


def gamma(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """Amounts y > 0 with mean exp(z): half the deviance, less what does not depend on z."""
    root = np.exp(-0.5 * z)
    ratio = (y * root) * root  # y exp(-z), also where exp(-z) alone would overflow
    return z + ratio, 1 - ratio, ratio


def log_loss(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """Yes has probability 1/(1 + exp(-z)), y in [0, 1]: log(1 + exp(z)) - y z without cancellation."""
    tail = np.exp(-np.abs(z))
    against = np.where(z > 0, 1 - y, y)  # the share of y that z speaks against
    unlikely = tail / (1 + tail)
    derivative = np.where(z > 0, against - unlikely, unlikely - against)
    return np.log1p(tail) + np.abs(z) * against, derivative, unlikely / (1 + tail)


def hinge(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """y -1 or +1, no error from a margin yz of 1 on: the support vector machine."""
    short_of = 1 - y * z
    return np.maximum(0, short_of), np.where(short_of >= 0, -y, 0), np.zeros_like(z)


def squared_hinge(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """The hinge squared, which has no kink."""
    short_of = np.maximum(0, 1 - y * z)
    return short_of * short_of, -2 * y * short_of, np.where(short_of > 0, 2.0, 0.0)


def modified_huber(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """The squared hinge, but linear below a margin of -1."""
    linear = y * z < -1
    error, derivative, curvature = squared_hinge(z, y, parameter)
    error, derivative = np.where(linear, -4 * y * z, error), np.where(linear, -4 * y, derivative)
    return error, derivative, np.where(linear, 0, curvature)


def perceptron(z: Doubles, y: Doubles, parameter: float) -> Triple:
    """Rosenblatt's: y -1 or +1, and only wrong answers cost."""
    margin = y * z
    return np.maximum(0, -margin), np.where(margin <= 0, -y, 0), np.zeros_like(z)


LOSSES = {f.__name__: f for f in (
    squared_error, absolute_error, huber, quantile, epsilon_insensitive, squared_epsilon_insensitive,
    poisson, gamma, log_loss, hinge, squared_hinge, modified_huber, perceptron)}  # fmt: skip
MARGIN_LOSSES = ("hinge", "squared_hinge", "modified_huber", "perceptron")


def loss(name: str, z: ArrayLike, y: ArrayLike, *, epsilon: float = 0.1, quantile: float = 0.5) -> Triple:
    """Error, derivative and curvature of the loss called name at raw scores z and targets y, elementwise.

    >>> loss("squared_error", [3.0], [1.0])
    (array([2.]), array([2.]), array([1.]))
    """
    z, y = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(y, dtype=float))
    with np.errstate(all="ignore"):  # saturation is meant
        return LOSSES[name](z, y, quantile if name == "quantile" else epsilon)


def softmax_loss(Z: ArrayLike, Y: ArrayLike) -> tuple[Doubles, Doubles]:
    """Classes of probability exp(Z)/sum(exp(Z)), Y (n, k) the share of each: error (n,), derivative (n, k).

    >>> softmax_loss([[0.0, 0.0]], [[1.0, 0.0]])
    (array([0.69314718]), array([[-0.5,  0.5]]))
    """
    Z, Y = np.asarray(Z, dtype=float), np.asarray(Y, dtype=float)
    with np.errstate(all="ignore"):
        top = Z.argmax(axis=1)[:, None]
        below = Z - np.take_along_axis(Z, top, axis=1)  # never above 0, so exp cannot overflow
        odds = np.exp(below)
        others = np.where(np.arange(Z.shape[1]) == top, 0, odds).sum(axis=1, keepdims=True)
        cost = np.where(Y > 0, Y * (np.log1p(others) - below), 0)  # -log(probability); 0 * infinity is 0 here
        return cost.sum(axis=1), Y.sum(axis=1, keepdims=True) * (odds / (1 + others)) - Y


# ---- 2. What all answers cost, and which way that falls ------------------------------------------
# From here on W (k, d + 1) holds the weights of k neurons, their biases in the last column.


class Rows(NamedTuple):
    """What is known of n samples; offset is added to their answers."""

    X: NDArray[Any]  # (n, d)
    Y: Doubles  # (n, k)
    s: Doubles  # (n,)
    offset: Doubles  # (n, 1) or (n, k)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Those rows alone."""
        return Rows(*(a[rows] for a in self))


class Objective(NamedTuple):
    """What E is made of, beside the samples."""

    loss: str
    l2: float
    l1: float
    epsilon: float
    quantile: float


def error_and_gradient(X: ArrayLike, y: ArrayLike, coef: ArrayLike, intercept: ArrayLike = 0.0, *,
                       loss: str = "squared_error", alpha: float = 0.0, l1_ratio: float = 0.0,
                       sample_weight: Given = None, offset: Given = None, epsilon: float = 0.1, quantile: float = 0.5,
                       n_threads: int | None = None) -> tuple[float, Doubles, float | Doubles]:  # fmt: skip
    """E and its gradient as `gdfast.error_and_gradient` returns them; n_threads changes nothing.

    Where a weight is 0 the L1 part has a range of slopes. The one that makes the gradient shortest is taken:
    0 where staying at 0 is best. Products with X are computed in float32 if X is float32, else in float64.

    >>> error_and_gradient([[1.0], [2.0]], [2.0, 4.0], [1.0])
    (1.25, array([-2.5]), -1.5)
    """
    W = np.column_stack([np.atleast_2d(np.asarray(coef, dtype=float)), np.atleast_1d(intercept)])
    objective = Objective(loss, alpha * (1 - l1_ratio), alpha * l1_ratio, epsilon, quantile)
    error, G = _error_and_smooth_gradient(_rows(X, y, len(W), loss, sample_weight, offset), W, objective)
    w, g = W[:, :-1], G[:, :-1]
    G[:, :-1] = np.where(w != 0, g + objective.l1 * np.sign(w), soft_threshold(g, objective.l1))
    return error, *_split(G, np.ndim(coef) == 1)


def soft_threshold(w: Doubles, width: float | Doubles) -> Doubles:
    """Move w towards 0 by width and stop there: the proximal step of width * |w|."""
    return np.sign(w) * np.maximum(np.abs(w) - width, 0)


def _error_and_smooth_gradient(
    rows: Rows, W: Doubles, objective: Objective, total: Any = None
) -> tuple[float, Doubles]:
    """E, and the gradient (k, d + 1) of all of it but the L1 part; total: what its sum over rows is divided by."""
    w, total = W[:, :-1], rows.s.sum() if total is None else total
    Z = rows.X @ w.T.astype(rows.X.dtype) + W[:, -1] + rows.offset
    if objective.loss == "log_loss" and len(W) > 1:
        errors, R = softmax_loss(Z, rows.Y)
    else:
        errors, R, _ = loss(objective.loss, Z, rows.Y, epsilon=objective.epsilon, quantile=objective.quantile)
        errors = errors.sum(axis=1)
    R = R * rows.s[:, None]
    G = np.column_stack([R.T.astype(rows.X.dtype) @ rows.X, R.sum(axis=0)]) / total
    G[:, :-1] += objective.l2 * w
    penalty = objective.l2 / 2 * np.sum(w * w) + objective.l1 * np.abs(w).sum()
    return float(rows.s @ errors / total + penalty), G


def _rows(X: ArrayLike, y: ArrayLike, k: int, loss: str, sample_weight: Given, offset: Given) -> Rows:
    """Samples and targets of any accepted form in the one form used here."""
    X, y = np.asarray(X), np.asarray(y)
    if y.ndim == 1 and k > 1:  # class codes: output j answers "is it j?"
        y = np.where(y[:, None] == np.arange(k), 1.0, -1.0 if loss in MARGIN_LOSSES else 0.0)
    return Rows(
        X if X.dtype == np.float32 else X.astype(float, copy=False),
        y.reshape(len(X), k).astype(float),
        np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float),
        np.zeros((len(X), 1)) if offset is None else np.asarray(offset, dtype=float).reshape(len(X), -1),
    )


def _split(W: Doubles, one: bool) -> tuple[Doubles, float | Doubles]:
    """Weights (k, d + 1) as (k, d) and (k,), or as (d,) and a float for one neuron."""
    return (W[0, :-1], float(W[0, -1])) if one else (W[:, :-1], W[:, -1])


# ---- 3. From a gradient to a step ----------------------------------------------------------------
# A rule takes what it remembers (a dict), the gradient G, the learning rate eta, the number t = 1, 2 ... of
# this update and settings of its own. It returns the step, and the rate at which each weight followed G.


def momentum_rule(
    memory: Memory, G: Doubles, eta: float, t: int, *, momentum: float = 0.0, nesterovs_momentum: bool = False
) -> Step:
    """The rule itself; with momentum a ball that rolls on; with Nesterov's one that looks ahead."""
    v = memory["velocity"] = momentum * memory.get("velocity", 0) - eta * G
    return momentum * v - eta * G if nesterovs_momentum else v, eta


def adagrad(memory: Memory, G: Doubles, eta: float, t: int) -> Step:
    """Each weight has a rate of its own, the smaller the more gradient it has seen."""
    square = memory["square"] = memory.get("square", 0) + G**2
    rate = eta / (np.sqrt(square) + 1e-10)
    return -rate * G, rate


def rmsprop(memory: Memory, G: Doubles, eta: float, t: int) -> Step:
    """AdaGrad that forgets: a running mean in place of the sum."""
    square = memory["square"] = 0.9 * memory.get("square", 0) + 0.1 * G**2
    rate = eta / (np.sqrt(square) + 1e-8)
    return -rate * G, rate


def adam(memory: Memory, G: Doubles, eta: float, t: int, *, beta_1: float = 0.9, beta_2: float = 0.999) -> Step:
    """RMSprop with momentum; the factor of t makes up for both running means having started at 0."""
    mean = memory["mean"] = beta_1 * memory.get("mean", 0) + (1 - beta_1) * G
    square = memory["square"] = beta_2 * memory.get("square", 0) + (1 - beta_2) * G**2
    rate = eta * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) / (np.sqrt(square) + 1e-8)
    return -rate * mean, rate


def proximal_step(memory: Memory, W: Doubles, step: Doubles, width: Any, **settings: Any) -> Doubles:
    """W after a step and then that of L1. A velocity is of both, for else it would push on against the penalty."""
    momentum = settings.get("momentum", 0.0) if settings.get("nesterovs_momentum") else 0.0
    before = W + step - momentum * memory.get("velocity", 0.0)  # so far weights are ahead of what steps
    after = soft_threshold(before, width)
    after[:, -1] = before[:, -1]  # the bias is not penalised
    if "velocity" in memory:
        memory["velocity"], memory["point"] = after - memory.get("point", W), after
    ahead: Doubles = after + momentum * memory.get("velocity", 0.0)
    return ahead


RULES = {"gd": momentum_rule, "sgd": momentum_rule, "adagrad": adagrad, "rmsprop": rmsprop, "adam": adam}


def learning_rate_at(t: int, schedule: str, eta0: float, power_t: float, alpha: float) -> float:
    """The learning rate of update t = 1, 2 ... ("adaptive": constant until the loop lowers eta0)."""
    if schedule == "invscaling":
        return float(eta0 / t**power_t)
    if schedule == "optimal":  # Bottou's 1/(alpha t), entered where eta is a typical weight, alpha^-0.25
        return float(1 / (alpha * (alpha**-0.75 + t - 1)))
    return eta0


# ---- 4. The loop ---------------------------------------------------------------------------------


def gradient_descent(X: ArrayLike, y: ArrayLike, *, loss: str = "squared_error", coef_init: ArrayLike = 0.0,
                     intercept_init: ArrayLike = 0.0, alpha: float = 0.0, l1_ratio: float = 0.0, solver: str = "gd",
                     learning_rate: str = "constant", eta0: float = 0.01, power_t: float = 0.25,
                     batch_size: int | None = None, permutation: Any = None, average: bool | int = False,
                     max_iter: int = 1000, tol: float | None = 1e-6, n_iter_no_change: int = 5,
                     fit_intercept: bool = True, sample_weight: Given = None, offset: Given = None,
                     epsilon: float = 0.1, quantile: float = 0.5, n_outputs: int | None = None,
                     keep_path: bool = False, **settings: Any) -> SimpleNamespace:  # fmt: skip
    """Descend E by a textbook rule. Parameters are those of `gdfast.gradient_descent`, except for

    permutation : callable(epoch, n) -> row numbers in the order in which epoch 0, 1 ... visits them
    settings : momentum, nesterovs_momentum, beta_1, beta_2, for the rules that have them

    Ends when n_iter_no_change epochs in a row lowered E by less than ``tol * |E|`` (adaptive: once that brought
    eta below 1e-6), or after max_iter epochs. Returns a namespace of coef, intercept and error; n_iter epochs
    and t updates done; loss_curve (n_iter,), E after each epoch; eta (t,), of each update; path, if kept, the
    weights (t + 1, k, d + 1) before the first update and after every one, biases in the last column.

    >>> result = gradient_descent([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], eta0=0.5, max_iter=200)
    >>> print(result.coef.round(2), round(result.intercept, 2))
    [2.] 1.0
    """
    y = np.asarray(y)
    codes = y.ndim == 1 and loss == "log_loss" and y.max() > 1  # of more than two classes
    k = n_outputs or (y.shape[1] if y.ndim == 2 else int(y.max()) + 1 if codes else 1)
    rows = _rows(X, y, k, loss, sample_weight, offset)
    n, d = rows.X.shape
    W = np.zeros((k, d + 1))
    W[:, :-1], W[:, -1] = coef_init, intercept_init
    objective = Objective(loss, alpha * (1 - l1_ratio), alpha * l1_ratio, epsilon, quantile)
    batch_size, typical_weight = batch_size or (n if solver == "gd" else 32), rows.s.mean()
    memory: Memory = {}
    mean, path, loss_curve, etas = W, [W], [], []
    t, best, waited = 0, np.inf, 0
    for epoch in range(max_iter):
        order = np.arange(n) if permutation is None else permutation(epoch, n)
        for start in range(0, n, batch_size):
            batch = rows.take(order[start : start + batch_size])
            # not by the batch's own weights: their size must count against that of other batches
            _, G = _error_and_smooth_gradient(batch, W, objective, total=len(batch.X) * typical_weight)
            G[:, -1] *= fit_intercept
            t += 1
            etas.append(learning_rate_at(t, learning_rate, eta0, power_t, alpha))
            step, rate = RULES[solver](memory, G, etas[-1], t, **settings)
            W = proximal_step(memory, W, step, rate * objective.l1, **settings)
            if average and t >= average:
                mean = mean + (W - mean) / (t - int(average) + 1)
            if keep_path:
                path.append(W)
        result = mean if average and t >= average else W
        loss_curve.append(_error_and_smooth_gradient(rows, result, objective)[0])
        if tol is not None:
            waited = waited + 1 if loss_curve[-1] >= best - tol * abs(best) else 0
            best = min(best, loss_curve[-1])
            if waited >= n_iter_no_change:
                eta0, waited = eta0 / 5, 0
                if learning_rate != "adaptive" or eta0 < 1e-6:
                    break

    coef, intercept = _split(result, y.ndim == 1 and k == 1)
    curves = {"loss_curve": np.array(loss_curve), "eta": np.array(etas), "path": np.array(path)}
    return SimpleNamespace(coef=coef, intercept=intercept, error=loss_curve[-1], n_iter=epoch + 1, t=t, **curves)
