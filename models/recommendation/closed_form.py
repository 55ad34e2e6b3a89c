"""Recommenders without gradients: a linear model of items on items, neighbours of items, and leading factors."""

import numpy as np
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_array
from sklearn.utils.extmath import randomized_svd

BLOCK = 1024


def ease(rows: csr_array, penalty: float) -> np.ndarray:
    """Return float32 `[items, items]` with zeros on its diagonal: EASE, ridge regression of each item on all others.

    Its closed form is B = I - P / diag(P) with P the inverse of the Gram matrix plus `penalty` on the diagonal (Steck
    2019, arXiv 1905.03375).

    Args:
        rows: `[users, items]`.
    """
    gram = (rows.T @ rows).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += penalty
    inverse = _inverted(gram)
    inverse /= -np.diag(inverse)
    inverse[np.diag_indices_from(inverse)] = 0.0
    return inverse


def _inverted(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a symmetric positive definite matrix, float32 `[n, n]`, in its own place.

    By its Cholesky factor that takes half of the work, and of the memory, that an inverse of any matrix takes.
    """
    factor, wrong = spotrf(matrix.T, lower=1, overwrite_a=1)
    inverse, singular = spotri(factor, lower=1, overwrite_c=1)
    if wrong or singular:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    for start in range(0, len(inverse), BLOCK):
        own = slice(start, start + BLOCK)
        inverse[own, start:] = inverse[start:, own].T
        block = inverse[own, own]
        inverse[own, own] = np.triu(block) + np.triu(block, 1).T
    return inverse


def neighbours(rows: csr_array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each item the `count` others that are most like it by cosine, the most alike first, and these cosines.

    int64 and float32 `[items, count]`, computed a block of items at a time.

    Args:
        rows: `[users, items]`.
    """
    lengths = np.sqrt(np.asarray((rows * rows).sum(0)).ravel())
    scale = np.where(lengths > 0, 1 / np.maximum(lengths, 1e-12), 0.0).astype(np.float32)
    unit = csr_array(rows.multiply(scale[None, :]))
    flipped, items = csr_array(unit.T), rows.shape[1]
    near, values = [], []
    for start in range(0, items, BLOCK):
        alike = (flipped[start : start + BLOCK] @ unit).toarray()
        alike[np.arange(len(alike)), np.arange(start, start + len(alike))] = 0.0
        most = min(count, items)
        found = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        cosines = np.take_along_axis(alike, found, axis=1)
        order = np.argsort(-cosines, axis=1, kind="stable")
        near.append(np.take_along_axis(found, order, axis=1))
        values.append(np.take_along_axis(cosines, order, axis=1))
    return np.concatenate(near), np.concatenate(values)


def nearest(near: np.ndarray, cosines: np.ndarray, count: int) -> csr_array:
    """Return float32 `[items, items]`: of each column the cosines of its item with the `count` that are most like it.

    Users times these weights are scores of item-based nearest neighbours (Sarwar et al. 2001).

    Args:
        near, cosines: as of `neighbours`.
    """
    near, cosines = near[:, :count], cosines[:, :count]
    offsets = np.arange(len(near) + 1) * near.shape[1]
    kept = csr_array((cosines.ravel(), near.ravel(), offsets), shape=(len(near), len(near)))
    kept.eliminate_zeros()
    return csr_array(kept.T)


def leading(rows: csr_array, dimension: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading left and right singular vectors, float32 `[users, d]` and `[items, d]`, each times the square

    root of its singular value (randomised, Halko et al. 2011). Where the matrix has fewer, the rest is zeros.
    """
    most = min(dimension, min(rows.shape) - 1)
    left, values, right = randomized_svd(rows, most, random_state=seed)
    found = left * np.sqrt(values), right.T * np.sqrt(values)
    return tuple(np.pad(part, [(0, 0), (0, dimension - most)]).astype(np.float32) for part in found)


def normalised(rows: csr_array) -> csr_array:
    """Return a matrix `[users, items]` with each entry over the root of its row's and its column's sum."""
    sides = [np.asarray(rows.sum(axis)).ravel() for axis in (1, 0)]
    scale = [np.where(side > 0, 1 / np.sqrt(np.maximum(side, 1e-12)), 0.0).astype(np.float32) for side in sides]
    return csr_array(rows.multiply(scale[0][:, None]).multiply(scale[1][None, :]))
