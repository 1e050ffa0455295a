"""Writes metrics.json: what scikit-learn and numpy find in random tables.

Usage: python3 metrics.py (numpy 2.4.6, scikit-learn 1.9.1); the file is written beside this one.
Inputs are rounded to few digits, so that the file is small and holds exactly what was measured.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
    top_k_accuracy_score,
)

warnings.simplefilter("error")
rng = np.random.default_rng(20261126)
golden = {}

# Many classes, one of them true of each row; scores without ties.
named = []
for rows, classes in [(40, 3), (60, 5), (80, 12)]:
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    scores = np.round(rng.normal(size=(rows, classes)), 5)
    scores[np.arange(rows), truth] += 0.75
    scores = np.round(scores, 5)
    assert all(len(set(row)) == classes for row in scores.tolist())
    weights = rng.integers(0, 4, rows)
    weights[:classes] = 1
    best = scores.argmax(axis=1)
    one_hot = np.eye(classes, dtype=int)[truth]
    labels = np.arange(classes)
    named.append({
        "scores": scores.tolist(),
        "truth": truth.tolist(),
        "weights": weights.tolist(),
        "top": {k: top_k_accuracy_score(truth, scores, k=k, labels=labels) for k in (1, 2)},
        "top_weighted": top_k_accuracy_score(
            truth, scores, k=2, labels=labels, sample_weight=weights),
        "accuracy": accuracy_score(truth, best),
        "confusion": confusion_matrix(truth, best, labels=labels).tolist(),
        "class_recall": balanced_accuracy_score(truth, best),
        "class_recall_weighted": balanced_accuracy_score(truth, best, sample_weight=weights),
        "mean_average_precision": average_precision_score(one_hot, scores, average="macro"),
        "auc": roc_auc_score(one_hot, scores, average=None).tolist(),
        "auc_macro": roc_auc_score(one_hot, scores, average="macro"),
    })
golden["named"] = named

# Any number of classes true of a row; scores of few values, so that there are many ties.
tied = []
for rows, classes, digits in [(30, 4, 1), (50, 6, 0), (25, 3, 3)]:
    truth = rng.random((rows, classes)) < 0.3
    truth[0], truth[1] = True, False
    scores = np.round(rng.normal(size=(rows, classes)) + 0.5 * truth, digits)
    weights = rng.integers(0, 3, rows)
    weights[:2] = 1
    curve = [precision_recall_curve(truth[:, 0], scores[:, 0]),
             roc_curve(truth[:, 0], scores[:, 0], drop_intermediate=False)]
    tied.append({
        "scores": scores.tolist(),
        "truth": truth.astype(int).tolist(),
        "weights": weights.tolist(),
        "average_precision": average_precision_score(truth, scores, average=None).tolist(),
        "average_precision_weighted": average_precision_score(
            truth, scores, average=None, sample_weight=weights).tolist(),
        "mean_average_precision": average_precision_score(truth, scores, average="macro"),
        "auc": roc_auc_score(truth, scores, average=None).tolist(),
        "auc_weighted": roc_auc_score(
            truth, scores, average=None, sample_weight=weights).tolist(),
        "auc_macro": roc_auc_score(truth, scores, average="macro"),
        "auc_pooled": roc_auc_score(truth, scores, average="micro"),
        "precision": curve[0][0].tolist(),
        "recall": curve[0][1].tolist(),
        "false_positive_rate": curve[1][0].tolist(),
        "true_positive_rate": curve[1][1].tolist(),
    })
golden["tied"] = tied

# Logistic regression; the optimum is unique but for a constant added to all intercepts.
probe = []
for rows, dim, classes, strength in [(24, 6, 3, 1.0), (40, 5, 2, 10.0), (12, 20, 4, 100.0)]:
    labels = np.arange(rows) % classes
    x = np.round(rng.normal(size=(rows, dim)) + 0.4 * labels[:, None] * np.sign(
        rng.normal(size=dim)), 3)
    new = np.round(rng.normal(size=(6, dim)), 3)
    # Of two classes scikit-learn fits one vector, w; the softmax over two is the same model with
    # w/2 and -w/2, whose penalty is half as large.
    model = LogisticRegression(
        C=strength if classes > 2 else 2 * strength,
        solver="newton-cholesky", tol=1e-13, max_iter=1000)
    model.fit(x, labels)
    probe.append({
        "x": x.tolist(), "labels": labels.tolist(), "classes": classes, "strength": strength,
        "new": new.tolist(), "probabilities": model.predict_proba(new).tolist(),
    })
golden["probe"] = probe

# Retrieval, counted by numpy: the share of queries with a true item among the first k.
queries, items = np.round(rng.normal(size=(30, 8)), 3), np.round(rng.normal(size=(20, 8)), 3)
of = rng.integers(0, 20, 30)
group = rng.integers(0, 5, 20)
unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
cosines = unit(queries) @ unit(items).T


def recall(scores, relevant, k):
    asked = relevant.any(axis=1)
    first = np.argsort(-scores, axis=1)[:, :k]
    return np.take_along_axis(relevant, first, axis=1).any(axis=1)[asked].mean()


same_item = of[:, None] == np.arange(20)[None, :]
same_group = group[of][:, None] == group[None, :]
golden["retrieval"] = {
    "queries": queries.tolist(), "items": items.tolist(), "of": of.tolist(),
    "group": group.tolist(), "cosines": cosines.tolist(),
    "same_item": [recall(cosines, same_item, k) for k in (1, 5, 10)],
    "same_item_back": [recall(cosines.T, same_item.T, k) for k in (1, 5, 10)],
    "same_group": [recall(cosines, same_group, k) for k in (1, 5, 10)],
    "same_group_back": [recall(cosines.T, same_group.T, k) for k in (1, 5, 10)],
}

# Sums of two normalised vectors, and the items which carry both labels.
a, b = np.round(rng.normal(size=(10, 8)), 3), np.round(rng.normal(size=(10, 8)), 3)
labels = [sorted(set(rng.integers(0, 4, 2).tolist())) for _ in range(20)]
pairs = [(i % 4, (i + 1 + i // 4) % 4) for i in range(10)]
both = np.array([[p in held and q in held for held in labels] for p, q in pairs])
golden["arithmetic"] = {
    "a": a.tolist(), "b": b.tolist(), "pairs": pairs, "labels": labels,
    "sum": [recall((unit(a) + unit(b)) @ unit(items).T, both, k) for k in (1, 5, 10)],
    "a_alone": [recall(unit(a) @ unit(items).T, both, k) for k in (1, 5, 10)],
    "b_alone": [recall(unit(b) @ unit(items).T, both, k) for k in (1, 5, 10)],
}

# Principal components, up to sign.
x = np.round(rng.normal(size=(40, 7)) * [3, 2, 1.5, 1, 1, 0.5, 0.2], 3)
pca = PCA(n_components=2, svd_solver="full").fit(x)
golden["projection"] = {
    "x": x.tolist(), "places": np.abs(pca.transform(x)).tolist(),
    "share": pca.explained_variance_ratio_.tolist(),
}

# Percentiles, mean and standard deviation.
values = np.round(rng.normal(size=25), 4)
golden["spread"] = {
    "values": values.tolist(), "low": np.percentile(values, 2.5),
    "high": np.percentile(values, 97.5), "mean": values.mean(), "deviation": values.std(ddof=1),
}

text = json.dumps(golden, separators=(",", ":"))
(Path(__file__).parent / "metrics.json").write_text(text + "\n")
print(len(text), "bytes")
