"""Writes reference.json: small inputs and what numpy, scipy and scikit-learn make of them.

Run: python crates/metrics/tests/metrics/reference/make.py
Versions: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1.
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

random = np.random.default_rng(0)


def rounded(array):
    """Three decimals, so that the file stays short; the rounded numbers are the input of both sides."""
    return np.round(array, 3)


def moments():
    samples = {
        "normal": random.normal(size=50),
        "skewed": random.exponential(size=40) ** 2,
        "heavy tails": random.standard_t(3, size=60),
        "two values": np.array([1.0, 1.0, 1.0, 4.0]),
        "far from zero": 1e6 + random.normal(size=37),
    }
    for name, values in samples.items():
        values = rounded(values)
        yield {
            "name": name,
            "values": values.tolist(),
            "mean": values.mean(),
            "variance": values.var(),
            "skewness": stats.skew(values),
            "kurtosis": stats.kurtosis(values, fisher=False),
        }


def unbiased_hsic(k, l):
    """The published formula, term by term."""
    n = len(k)
    k, l, ones = k - np.diag(np.diag(k)), l - np.diag(np.diag(l)), np.ones(n)
    trace = np.trace(k @ l)
    sums = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    rows = 2 / (n - 2) * (ones @ k @ l @ ones)
    return (trace + sums - rows) / (n * (n - 3))


def cka():
    widths = [3, 5, 2, 4]
    maps = [random.normal(size=(3, width)) for width in widths]
    batches = []
    for samples in (6, 4, 9):
        hidden = random.normal(size=(samples, 3))
        noise = [random.normal(size=(samples, width)) for width in widths]
        batches.append([rounded(hidden @ m + i * e + 5.0) for i, (m, e) in enumerate(zip(maps, noise))])
    layers = range(len(widths))
    hsic = np.zeros((len(widths), len(widths)))
    for batch in batches:
        grams = [x @ x.T for x in (layer.astype(np.float32).astype(np.float64) for layer in batch)]
        hsic += [[unbiased_hsic(grams[i], grams[j]) for j in layers] for i in layers]
    hsic /= len(batches)
    scale = np.sqrt(np.diag(hsic))
    return {
        "batches": [[layer.tolist() for layer in batch] for batch in batches],
        "hsic": hsic.tolist(),
        "cka": (hsic / np.outer(scale, scale)).tolist(),
    }


def logistic():
    cases = [
        ("more samples than features", 60, 4, 1.0),
        ("more features than samples", 12, 20, 1.0),
        ("strong penalty", 40, 5, 1e-3),
        ("weak penalty, separable", 10, 3, 1e3),
        ("badly scaled", 50, 3, 1.0),
    ]
    for name, samples, features, c in cases:
        x = random.normal(size=(samples, features))
        noise = 0.0 if "separable" in name else 1.0
        labels = x[:, 0] - 0.5 * x[:, 1] + noise * random.logistic(size=samples) > 0.3
        if name == "badly scaled":
            x = x * [100.0, 0.1, 1.0] + [500.0, 0.0, -3.0]
        x = rounded(x)
        fit = LogisticRegression(C=c, tol=1e-12, solver="newton-cholesky", max_iter=10_000).fit(x, labels)
        yield {
            "name": name,
            "x": x.tolist(),
            "labels": labels.tolist(),
            "c": c,
            "coefficients": fit.coef_[0].tolist(),
            "intercept": fit.intercept_[0],
            "accuracy": fit.score(x, labels),
        }


def standardizer():
    x = rounded(random.normal(size=(7, 3)) * [1.0, 50.0, 0.0] + [3.0, -20.0, 0.1])
    other = rounded(random.normal(size=(3, 3)))
    scaler = StandardScaler().fit(x)
    return {
        "x": x.tolist(),
        "other": other.tolist(),
        "standardized": scaler.transform(x).tolist(),
        "other_standardized": scaler.transform(other).tolist(),
    }


def folds():
    # Groups of different sizes, so that the greedy assignment is the only one.
    groups = random.permutation(np.repeat(np.arange(7), [1, 2, 4, 7, 12, 20, 33]))
    assigned = np.empty(len(groups), dtype=int)
    for fold, (_, test) in enumerate(GroupKFold(3).split(groups, groups=groups)):
        assigned[test] = fold
    return {"groups": groups.tolist(), "folds": assigned.tolist()}


def correlation():
    normal = random.normal(size=(20, 2))
    samples = {
        "independent": normal,
        "related": np.stack([normal[:, 0], normal[:, 0] + 0.3 * normal[:, 1]], axis=1),
        "ties": random.integers(0, 4, size=(25, 2)).astype(float),
        "monotone": np.stack([np.arange(6.0), -np.exp(np.arange(6.0))], axis=1),
        "far from zero": normal * 0.01 + [1e6, -1e6],
    }
    for name, pairs in samples.items():
        pairs = rounded(pairs)
        yield {
            "name": name,
            "pairs": pairs.tolist(),
            "pearson": stats.pearsonr(*pairs.T).statistic,
            "spearman": stats.spearmanr(*pairs.T).statistic,
        }


def rescale():
    depths = rounded(np.sort(random.uniform(0.05, 0.95, size=8)))
    values = rounded(random.normal(size=8))
    return {
        "curve": np.stack([depths, values], axis=1).tolist(),
        "interpolated": np.interp(np.arange(101) / 100, depths, values).tolist(),
        "min_max": ((values - values.min()) / np.ptp(values)).tolist(),
    }


reference = {
    "moments": list(moments()),
    "cka": cka(),
    "logistic": list(logistic()),
    "standardizer": standardizer(),
    "folds": folds(),
    "correlation": list(correlation()),
    "rescale": rescale(),
}
path = Path(__file__).with_name("reference.json")
path.write_text(json.dumps(reference, separators=(",", ":")).replace('],"', '],\n"') + "\n")
