"""Weights that are mostly zeros, held as a sparse matrix: `sparsify` and `densify`, as scikit-learn has them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from gdfast._types import Array

_Self = TypeVar("_Self", bound="SparseCoef")


def dense(coef: Any) -> Array:
    """The weights as an array, sparse or not."""
    weights: Array = coef.toarray() if hasattr(coef, "toarray") else np.asarray(coef)
    return weights


class SparseCoef:
    """The two methods. scikit-learn's own make a matrix of a regressor's vector, but do not give the vector back."""

    coef_: Any

    def sparsify(self: _Self) -> _Self:
        """Hold ``coef_`` as a sparse matrix, which is smaller where L1 has made most weights zero.

        Returns
        -------
        self : object
            The estimator, with ``coef_`` a ``scipy.sparse.csr_matrix`` of shape (1, n_features) or
            (n_outputs, n_features); ``intercept_`` stays as it is.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Notes
        -----
        Predictions stay the same, to the bit. It saves memory if more than half of the weights are zero:
        ``(model.coef_ == 0).mean() > 0.5``. `fit` and `partial_fit` make an array again.

        Examples
        --------
        >>> from gdfast import GDRegressor
        >>> model = GDRegressor(penalty="l1", alpha=0.1).fit([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]], [0.0, 2.0, 4.0])
        >>> model.sparsify().coef_.nnz, model.densify().coef_.shape
        (1, (2,))
        """
        from scipy.sparse import csr_matrix

        check_is_fitted(self, msg="Estimator, %(name)s, must be fitted before sparsifying.")
        self.coef_ = csr_matrix(np.atleast_2d(dense(self.coef_)))
        return self

    def densify(self: _Self) -> _Self:
        """Hold ``coef_`` as an array again; does nothing if it is one.

        Returns
        -------
        self : object
            The estimator, with ``coef_`` an ndarray of the shape that ``fit`` gave it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from gdfast import GDClassifier
        >>> model = GDClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]).sparsify()
        >>> type(model.densify().coef_)
        <class 'numpy.ndarray'>
        """
        check_is_fitted(self, msg="Estimator, %(name)s, must be fitted before densifying.")
        if not isinstance(self.coef_, np.ndarray):
            coef = dense(self.coef_)
            self.coef_ = coef if is_classifier(self) or len(coef) > 1 else coef[0]
        return self
