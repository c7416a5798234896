"""The error of one output over a plane of its weights: heights of that surface, slopes on it, its lowest point.

On a plane of weights all scores are z = z0 + a z1 + b z2. One read of X gives the three columns, in double, since large
terms cancel on a plane far from the origin. Every point of the plane is then a neuron of two weights on the matrix
(z1, z2) with offset z0, and all points share a pass over that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gdfast import _core
from gdfast._targets import read_offset, read_targets, read_weights
from gdfast._types import Array, Doubles, Numbers
from gdfast.functional import scores_in_blocks
from gdfast.rows.sparse import as_rows

_CHUNK = 500  # weights at a time whose magnitudes are summed, for all points
_FAR = 10.0  # times the extent of what is to be seen: lowest points beyond are as good as none
_STEPS = 400  # evaluations on the way to the lowest point
_MANY_ROWS = 1 << 16  # from which on rounding in float averages out: nobody sees it in a picture


class Data(NamedTuple):
    """Rows as `error_and_gradient` takes them; row numbers, where only some of them count."""

    X: Any
    y: Any
    sample_weight: Any = None
    offset: Any = None
    rows: Numbers | None = None
    suffix: str = ""  # of the names in error messages


class Plane(NamedTuple):
    """Weights of all outputs, and two orthonormal directions in which those of one output move.

    coef (k, d), intercept (k,); directions (2, d + 1), the bias in the last column; origin (2,) is what the coordinates
    of the point without any move are called.
    """

    coef: Doubles
    intercept: Doubles
    output: int
    directions: Doubles
    origin: Doubles

    def coordinates(self, coef: Doubles, intercept: Doubles) -> Doubles:
        """Where weights (t, d) and biases (t,) of the output lie, or, off the plane, their nearest points: (t, 2); NaN
        where one of them is not finite."""
        finite = np.isfinite(coef).all(axis=1) & np.isfinite(intercept)
        moved = coef[finite] - self.coef[self.output]
        shifted = intercept[finite] - self.intercept[self.output]
        places = np.full((len(coef), 2), np.nan)
        places[finite] = moved @ self.directions[:, :-1].T + np.outer(shifted, self.directions[:, -1]) + self.origin
        return places


class Section:
    """The error of the rows over the plane: E, or the mean loss alone without penalty."""

    def __init__(
        self, data: Data, terms: dict[str, Any], plane: Plane, n_threads: int, *, penalised: bool = True
    ) -> None:
        self.plane, self.n_threads = plane, n_threads
        self.loss, self.param = terms["loss"], terms["param"]
        self.l2: float = terms["l2"] if penalised else 0.0
        self.l1: float = terms["l1"] if penalised else 0.0
        X, k = as_rows(data.X), len(plane.coef)
        n = X.shape[0]
        targets = read_targets(data.y, n, self.loss, k, f"y{data.suffix}")
        weight = read_weights(data.sample_weight, n, f"sample_weight{data.suffix}")
        offset = read_offset(data.offset, n, k, f"offset{data.suffix}")
        self.softmax = targets.softmax
        y = _own_target(targets, plane.output)
        Z, base, others = _columns(X, offset, plane, targets if self.softmax else None, n_threads)
        if data.rows is not None:
            Z, base, y = Z[data.rows], base[data.rows], y[data.rows]
            weight = None if weight is None else weight[data.rows]
            others = None if others is None else others[data.rows]
        self.constant, self.factor = 0.0, 1.0
        if others is not None:
            self.constant = float(np.average(others, weights=weight))
            y, weight = self._as_shares(targets, data.rows, y, weight)
        self.problem = _core.Problem(Z, y, loss=self.loss, param=self.param, weight=weight, offset=base)
        self._quadratic = _quadratic(Z, base - y, weight) if self.loss == "squared_error" else None

    def _as_shares(self, targets: Any, rows: Any, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """Soft labels (n, k) whose rows do not add up to 1 are shares of rows that weigh their sum."""
        if targets.codes:
            return y, weight
        total = (targets.y if rows is None else targets.y[rows]).sum(axis=1, dtype=np.float64)
        one = np.ones(len(total)) if weight is None else weight.astype(np.float64)
        self.factor = float(one @ total / one.sum())
        return np.divide(y, total, out=np.zeros(len(total)), where=total > 0), one * total

    def errors(self, points: Doubles, *, as_picture: bool = False) -> Doubles:
        """Errors (m,) of points (m, 2), from one pass over the rows for all points; as_picture: to 1e-6 of themselves,
        where that is faster."""
        moves = np.ascontiguousarray(points - self.plane.origin)
        if self._quadratic is not None:
            constant, slope, curvature = self._quadratic
            errors: Doubles = constant + moves @ slope + 0.5 * ((moves @ curvature) * moves).sum(axis=1)
        else:
            none, narrow = np.zeros((len(moves), 1)), as_picture and len(self.problem.y) >= _MANY_ROWS
            errors = _core.errors(self.problem, moves[:, None, :], none, narrow=narrow, n_threads=self.n_threads)
        return self.factor * errors + self.constant + self._penalty(moves)[0]

    def slopes(self, points: Doubles) -> Doubles:
        """Gradients (m, 2) of the error along the plane."""
        moves = np.ascontiguousarray(points - self.plane.origin)
        if self._quadratic is not None:
            slopes: Doubles = self._quadratic[1] + moves @ self._quadratic[2]
        else:
            grid = _core.Grid(self.problem, [{"loss": self.loss, "param": self.param}] * len(moves))
            none = np.zeros((len(moves), 1))
            slopes = _core.grid_error_and_gradient(grid, moves[:, None, :], none, self.n_threads)[2][:, 0, :]
        return self.factor * slopes + self._penalty(moves)[1]

    def _penalty(self, moves: Doubles) -> tuple[Doubles, Doubles]:
        """The penalty at each point, and its slopes. Of softmax, whose E is that of all outputs, all weights count."""
        own, D = self.plane.coef[self.plane.output], self.plane.directions[:, :-1]
        rest = self.plane.coef.copy()
        rest[self.plane.output] = 0.0
        if not self.softmax:
            rest[:] = 0.0
        along, gram = D @ own, D @ D.T
        bent = moves @ gram
        squares = float(own @ own + (rest * rest).sum()) + 2.0 * moves @ along + (bent * moves).sum(axis=1)
        penalty, pull = 0.5 * self.l2 * squares, self.l2 * (along + bent)
        if self.l1 > 0:
            still = ~D.any(axis=0)
            sizes = np.full(len(moves), np.abs(own[still]).sum() + np.abs(rest).sum())
            own, D = own[~still], D[:, ~still]
            for start in range(0, len(own), _CHUNK):
                part = slice(start, start + _CHUNK)
                weights = own[part] + moves @ D[:, part]
                sizes += np.abs(weights).sum(axis=1)
                pull = pull + self.l1 * np.sign(weights) @ D[:, part].T
            penalty = penalty + self.l1 * sizes
        return penalty, pull

    def error(self, point: Doubles) -> float:
        """The error at one point (2,); infinite where it overflows."""
        total = float(self.errors(point[None, :])[0])
        return total if np.isfinite(total) else np.inf

    def spread(self) -> Doubles:
        """How far scores move, root mean square, for a move by 1 in each direction: (2,)."""
        return np.sqrt(np.diag(self._moments()))

    def _moments(self) -> Doubles:
        Z, s = np.asarray(self.problem.X), self.problem.weight
        weighted = Z if s is None else Z * (s / s.sum() * len(s))[:, None]
        moments: Doubles = weighted.T @ Z / len(Z)
        return moments

    def minimum(self, seen: Doubles) -> Doubles | None:
        """The lowest point (2,), from the best of those seen (m, 2) on; None if it is far beyond them, or nowhere.

        In coordinates in which scores move alike in all directions, where every surface is about as steep: the simplex
        of Nelder and Mead takes kinks too.
        """
        from scipy.optimize import minimize

        moments = self._moments()
        size = np.trace(moments)
        root = np.linalg.cholesky(moments + np.eye(2) * (1e-12 * size if size > 0 else 1.0))
        errors = np.nan_to_num(self.errors(seen), nan=np.inf)
        start = seen[int(errors.argmin())]
        reach = np.abs((seen - start) @ root).max()
        unit = reach if reach > 0 else max(float(np.std(self.problem.y)), 1e-12)

        def height(place: Doubles) -> float:
            return np.inf if np.abs(place).max() > _FAR else self.error(start + unit * np.linalg.solve(root.T, place))

        simplex = np.array([[0.0, 0.0], [0.25, 0.0], [0.0, 0.25]])
        options = {"initial_simplex": simplex, "xatol": 1e-7, "fatol": np.inf, "maxfev": _STEPS}
        found = minimize(height, np.zeros(2), method="Nelder-Mead", options=options).x
        if np.abs(found).max() > 0.9 * _FAR:
            return None
        lowest: Doubles = start + unit * np.linalg.solve(root.T, found)
        return lowest


def _own_target(targets: Any, output: int) -> Array:
    """What the one output is to answer: for class codes its class, 1, against the rest, 0 or -1."""
    y: Array = targets.y
    if targets.codes:
        rest = 0.0 if targets.softmax else -1.0
        return np.where(y == output, 1.0, rest)
    return np.ascontiguousarray(y[:, output] if y.ndim == 2 else y)


def _columns(
    X: Any, offset: Array | None, plane: Plane, targets: Any, n_threads: int
) -> tuple[Array, Doubles, Doubles | None]:
    """z1 and z2 (n, 2), z0 (n,), and for softmax (targets given) what each row's error has beside that of one neuron.

    Softmax with one moving score u = z_c - log sum_{j != c} exp(z_j) is a neuron with log loss of u, and
    -log p_y = log(1 + exp(u)) - y_c u + sum_{j != c} y_j (log sum exp - z_j).
    """
    n, c = X.shape[0], plane.output
    chosen = slice(None) if targets is not None else slice(c, c + 1)
    coef = np.vstack([plane.coef[chosen], plane.directions[:, :-1]])
    biases = np.concatenate([plane.intercept[chosen], plane.directions[:, -1]])
    Z, base = np.empty((n, 2)), np.empty(n)
    others = None if targets is None else np.empty(n)
    for rows, z in scores_in_blocks(X, coef, biases, in_double=True, n_threads=n_threads):
        Z[rows] = z[:, -2:]
        fixed = z[:, :-2].copy()
        if offset is not None:
            of_rows = offset[rows].astype(np.float64)
            column = c if of_rows.ndim == 2 and fixed.shape[1] == 1 else slice(None)
            fixed += of_rows.reshape(len(of_rows), -1)[:, column].reshape(len(of_rows), -1)
        if others is None:
            base[rows] = fixed[:, 0]
        else:
            base[rows], others[rows] = _one_of_softmax(fixed, targets, rows, c)
    return Z, base, others


def _one_of_softmax(z: Doubles, targets: Any, rows: slice, c: int) -> tuple[Doubles, Doubles]:
    """u of each row, and the part of its error that does not depend on u."""
    from scipy.special import logsumexp

    y = targets.y[rows]
    own = z[:, c].copy()
    z[:, c] = -np.inf
    rest = logsumexp(z, axis=1)
    if targets.codes:
        cost = np.where(y == c, 0.0, rest - z[np.arange(len(z)), y.astype(np.int64)])
    else:
        gap = rest[:, None] - z
        cost = np.where(np.arange(z.shape[1]) == c, 0.0, y * np.where(np.isfinite(gap), gap, 0.0)).sum(axis=1)
    return own - rest, cost


def _quadratic(Z: Array, residual: Doubles, weight: Array | None) -> tuple[float, Doubles, Doubles]:
    """E = (mean of residual^2) / 2 as a quadratic function of the moves: its value, slope and curvature at none."""
    s = np.full(len(Z), 1.0 / len(Z)) if weight is None else weight / weight.sum(dtype=np.float64)
    weighted = Z * s[:, None]
    return float(0.5 * (s * residual) @ residual), weighted.T @ residual, weighted.T @ Z
