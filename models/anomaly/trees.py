"""Forests as layers: the trees that scikit-learn grew, stored as tables of nodes and walked with gathers."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest


@keras.saving.register_keras_serializable("horngate")
class Trees(layers.Layer):
    """Gives the mean value of the leaves that a row falls into, one leaf per tree.

    Args:
        trees: how many there are.
        nodes: of the largest tree; smaller ones are filled up.
        depth: of the deepest leaf.
    """

    def __init__(self, trees: int, nodes: int, depth: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.trees, self.nodes, self.depth = trees, nodes, depth

    def build(self, input_shape):
        def weight(name: str, dtype: str):
            return self.add_weight(
                shape=(self.trees * self.nodes,), initializer="zeros", dtype=dtype, trainable=False, name=name
            )

        self.feature, self.left, self.right = (weight(name, "int32") for name in ("feature", "left", "right"))
        self.threshold, self.value = weight("threshold", "float32"), weight("value", "float32")

    def call(self, features):
        """Return float32 `[n, 1 + d]`: the mean value, and the squared distance of each feature from its mean."""
        values = ops.reshape(features, (-1,))
        first = ops.arange(ops.shape(features)[0], dtype="int32")[:, None] * features.shape[1]  # value of each row
        node = ops.zeros_like(first) + np.arange(self.trees, dtype="int32")[None] * self.nodes
        for _ in range(self.depth):
            seen = ops.take(values, first + ops.take(self.feature, node))
            low = ops.less_equal(seen, ops.take(self.threshold, node))
            node = ops.where(low, ops.take(self.left, node), ops.take(self.right, node))
        score = ops.mean(ops.take(self.value, node), axis=1, keepdims=True)
        return ops.concatenate([score, features * features], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1 + input_shape[-1])


def trees_layer(grown: list[Any], values: list[np.ndarray], size: int, name: str) -> Trees:
    """Return the layer of trees as scikit-learn keeps them (`estimator.tree_`), with a value for each of their nodes."""
    nodes = max(tree.node_count for tree in grown)
    layer = Trees(len(grown), nodes, max(tree.max_depth for tree in grown), name=name)
    layer.build((None, size))
    own = np.arange(nodes)
    tables: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "left", "right", "threshold", "value")}
    for place, (tree, value) in enumerate(zip(grown, values, strict=True)):
        leaf = tree.children_left < 0
        pairs = {
            "feature": np.where(leaf, 0, tree.feature),
            "left": np.where(leaf, own[: tree.node_count], tree.children_left) + place * nodes,
            "right": np.where(leaf, own[: tree.node_count], tree.children_right) + place * nodes,
            "threshold": np.where(leaf, 0.0, tree.threshold),
            "value": value,
        }
        for part, table in pairs.items():
            tables[part].append(np.pad(table, (0, nodes - tree.node_count)))
    for part, columns in tables.items():
        getattr(layer, part).assign(np.concatenate(columns))
    return layer


def isolation_forest(features: np.ndarray, seed: int, trees: int = 100) -> Trees:
    """Return an isolation forest (Liu, Ting & Zhou 2008) fitted on features `[n, d]`; its value is minus the mean path."""
    forest = IsolationForest(n_estimators=trees, random_state=seed).fit(features)
    grown = [estimator.tree_ for estimator in forest.estimators_]
    return trees_layer(grown, [-_paths(tree) for tree in grown], features.shape[1], "forest")


def labelled_forest(features: np.ndarray, truth: np.ndarray, seed: int, trees: int = 100) -> Trees:
    """Return randomised trees (Geurts et al. 2006) fitted on features `[n, d]` and whether a row is a known anomaly.

    Both kinds weigh the same; the value of a leaf is the share of known anomalies in it.
    """
    forest = ExtraTreesClassifier(
        trees, max_depth=14, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=1
    ).fit(features, truth)
    grown = [estimator.tree_ for estimator in forest.estimators_]
    values = [tree.value[:, 0, 1] / np.maximum(tree.value[:, 0].sum(1), 1e-12) for tree in grown]
    return trees_layer(grown, values, features.shape[1], "labelled_forest")


def _paths(tree: Any) -> np.ndarray:
    """Return for each node its depth, and what the rows in it would need on average to be parted from each other."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # parents stand before their children
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1
    rows = np.maximum(tree.n_node_samples.astype(np.float64), 1)
    more = 2 * (np.log(np.maximum(rows - 1, 1)) + np.euler_gamma) - 2 * (rows - 1) / rows
    return depth + np.where(rows > 2, more, np.where(rows == 2, 1.0, 0.0))
