"""Seconds for 1,000 bootstrap replicates of every metric of retrieval98, against a loop over scikit-learn.

The matrix is made: 98 classes with as many label instances as the paper's test set (the column n_test of labels98.csv,
7,710 in all), dealt out to records. The loop resamples the rows of each replicate and calls `roc_auc_score`,
`average_precision_score`, `f1_score`, and argsort for the ranks; it is measured on a few replicates and scaled.

python tests/bench/metrics.py [--records 4000] [--loop 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.tables import table
from ecgbench.evaluation.bootstrap import REPLICATES, patient_weights
from ecgbench.evaluation.fitted import F1Metric, as_committed
from ecgbench.evaluation.metrics import Metric, metric_named
from ecgbench.findings import label_bank


def made(records: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, 98) and labels with the paper's number of instances of each class; every record has a label."""
    random = np.random.default_rng(seed)
    counts = [int(each.columns["n_test"]) for each in label_bank("labels98.csv").findings]
    labels = np.zeros((records, len(counts)), np.int16)
    for column in np.argsort(counts)[::-1]:  # the common ones first, to the records without a label
        order = np.argsort(labels.any(axis=1) + random.random(records) / 2)
        labels[order[: counts[column]], column] = 1
    cosines = 0.1 * random.standard_normal(labels.shape) + 0.15 * labels
    return cosines.astype(np.float32), labels


Twin = Callable[[np.ndarray, np.ndarray], float]


def twins(thresholds: np.ndarray) -> dict[str, Twin]:
    """The same metrics as one would write them, of one resample at a time."""

    def ranks(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        order = np.argsort(-scores, axis=1)
        places = np.empty_like(order)
        np.put_along_axis(places, order, np.arange(scores.shape[1])[None], axis=1)
        return (places, *np.nonzero(labels))

    def top(k: int) -> Twin:
        def share(scores: np.ndarray, labels: np.ndarray) -> float:
            places, row, column = ranks(scores, labels)
            return float((places[row, column] < k).mean())

        return share

    def hit(k: int) -> Twin:
        def share(scores: np.ndarray, labels: np.ndarray) -> float:
            best = np.argsort(-scores, axis=1)[:, :k]
            return float(np.take_along_axis(labels, best, axis=1).any(axis=1).mean())

        return share

    def reciprocal(filtered: bool) -> Twin:
        def mean(scores: np.ndarray, labels: np.ndarray) -> float:
            places, row, column = ranks(scores, labels)
            rank = places[row, column] + 1
            if filtered:
                rank = rank - ((places[row] < places[row, column][:, None]) & (labels[row] > 0)).sum(axis=1)
            return float((1 / rank).mean())

        return mean

    def area(function: Callable[..., float], average: str) -> Twin:
        def value(scores: np.ndarray, labels: np.ndarray) -> float:
            mixed = labels.any(axis=0) if average == "macro" else np.ones(labels.shape[1], bool)
            return float(function(labels[:, mixed], scores[:, mixed], average=average))

        return value

    def f1(average: str) -> Twin:
        def value(scores: np.ndarray, labels: np.ndarray) -> float:
            mixed = labels.any(axis=0) if average == "macro" else np.ones(labels.shape[1], bool)
            called = as_committed(scores) >= thresholds
            return float(f1_score(labels[:, mixed], called[:, mixed], average=average))

        return value

    return {
        **{"top1": top(1), "top5": top(5), "hit1": hit(1), "hit5": hit(5)},
        **{"mrr": reciprocal(False), "mrr_filtered": reciprocal(True)},
        **{f"{average}_auroc": area(roc_auc_score, average) for average in ("macro", "micro")},
        **{f"{average}_auprc": area(average_precision_score, average) for average in ("macro", "micro")},
        **{f"{average}_f1": f1(average) for average in ("macro", "micro")},
    }


def measured(
    metric: Metric, twin: Twin, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, n_loop: int
) -> tuple[float, float, float]:
    """Seconds of all replicates at once, of all by the loop, and the largest difference of the values of both."""
    start = time.perf_counter()
    values, _ = metric.values(scores, labels, weights)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    looped = []
    for each in weights[:n_loop]:
        rows = np.repeat(np.arange(len(scores)), each)
        looped.append(twin(scores[rows], labels[rows]))
    loop = (time.perf_counter() - start) * len(weights) / n_loop
    return ours, loop, float(np.abs(values[:n_loop] - looped).max())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--loop", type=int, default=5, help="replicates that the loop is measured on")
    asked = parser.parse_args()
    scores, labels = made(asked.records)
    validation = made(asked.records, seed=1)
    weights = patient_weights(np.arange(asked.records).astype(str))
    metrics = [metric_named(name).fitted(*validation) for name in load_card(TaskCard, "retrieval98").metrics]
    thresholds = next(each.thresholds for each in metrics if isinstance(each, F1Metric))
    assert thresholds is not None
    loops = twins(thresholds)
    rows: list[list[object]] = []
    total = np.zeros(2)
    for metric in metrics:
        ours, loop, apart = measured(metric, loops[metric.name], scores, labels, weights, asked.loop)
        total += ours, loop
        rows.append([metric.name, f"{ours:.2f}", f"{loop:.0f}", f"{loop / ours:.0f}", f"{apart:.0e}"])
    rows.append(["all", f"{total[0]:.2f}", f"{total[1]:.0f}", f"{total[1] / total[0]:.0f}", ""])
    print(
        f"{REPLICATES} replicates, {len(scores)} records x {labels.shape[1]} classes, {labels.sum()} label instances; "
        f"the loop was measured on {asked.loop} replicates and scaled."
    )
    print(table(["metric", "ecgbench, s", "loop, s", "ratio", "largest difference"], rows, right=range(1, 5)))


if __name__ == "__main__":
    main()
