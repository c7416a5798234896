"""What the tests of searches share: targets of every kind, and GridSearchCV's answer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from gdfast import GDClassifierCV, GDRegressorCV

rng = np.random.default_rng(0)
N = 120
X = rng.normal(1.0, [1.0, 3.0, 0.3, 1.0, 2.0], size=(N, 5))
Z = X @ [1.0, -0.3, 2.0, 0.0, 0.1] - 1.0
LINE = Z + rng.normal(size=N)
COUNTS = rng.poisson(np.exp(Z / 3)).astype(float)
TWO = np.where(np.median(LINE) < LINE, "yes", "no")
THREE = np.digitize(LINE, np.quantile(LINE, [0.3, 0.6]))
WEIGHT = rng.integers(1, 4, N)
OFFSET = rng.normal(size=N) / 3
ALPHAS = [1.0, 0.1, 1e-3]
TIGHT = {"tol": 1e-15}

both = pytest.mark.parametrize(("CV", "y"), [(GDRegressorCV, LINE), (GDClassifierCV, TWO)])


def searched(estimator, cv, y, fit=None, scoring=None, **grid):
    """GridSearchCV's scores (points, splits), best parameters and best estimator."""
    search = GridSearchCV(estimator, grid, cv=cv, scoring=scoring).fit(X, y, **(fit or {}))
    scores = [search.cv_results_[f"split{i}_test_score"] for i in range(search.n_splits_)]
    return np.transpose(scores), search.best_params_, search.best_estimator_
