"""Every loss against the formula it is named after, written out pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ecgbench.contrastive.losses import (
    build_loss,
    mean_pairwise_cosine,
    same_sentence,
    share_of_duplicates,
    shared_findings,
)
from ecgbench.contrastive.model import ContrastiveModel
from ecgbench.errors import EcgbenchError
from ecgbench.recipe import Recipe, load_recipe

SCALE = torch.tensor(8.0)


def recipe(loss: str) -> Recipe:
    return load_recipe(f"quick+loss={loss}" + ("+logit_bias=-10" if loss == "siglip" else ""))


def batch(n: int = 7, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    ecg, text = F.normalize(torch.randn(n, 5), dim=1), F.normalize(torch.randn(n, 5), dim=1)
    findings = (torch.rand(n, 4) > 0.5).float()
    sentences = torch.randint(0, 3, (n,))
    return ecg, text, sentences, findings


def ask(loss: str, of: tuple[Tensor, Tensor, Tensor, Tensor], bias: float | None = None) -> float:
    ecg, text, sentences, findings = of
    told = None if bias is None else torch.tensor(bias)
    return float(build_loss(recipe(loss))(ecg, text, SCALE, told, sentences, findings))


def cross_entropy(similarity: np.ndarray, wanted: np.ndarray) -> float:
    """Mean over rows of -sum_j wanted_ij log softmax(similarity)_ij, one number after another."""
    total = 0.0
    for i in range(len(similarity)):
        log_sum = math.log(sum(math.exp(value) for value in similarity[i]))
        total -= sum(w * (value - log_sum) for w, value in zip(wanted[i], similarity[i], strict=True))
    return total / len(similarity)


def test_multi_positive_counts_every_equal_sentence_as_a_match() -> None:
    of = batch()
    ecg, text, sentences, _ = of
    similarity = (8 * ecg @ text.T).double().numpy()
    wanted = np.array([[1.0 if a == b else 0.0 for b in sentences] for a in sentences])
    wanted /= wanted.sum(1, keepdims=True)
    expected = (cross_entropy(similarity, wanted) + cross_entropy(similarity.T, wanted)) / 2
    assert ask("multi-positive", of) == pytest.approx(expected, rel=1e-5)


def test_soft_target_weighs_pairs_by_their_common_findings() -> None:
    of = batch(seed=1)
    ecg, text, _, findings = of
    sets = [set(np.flatnonzero(row).tolist()) for row in findings.numpy()]
    wanted = np.array([[1.0 if i == j else len(a & b) / max(1, len(a | b)) for j, b in enumerate(sets)]
                       for i, a in enumerate(sets)])  # fmt: skip
    wanted /= wanted.sum(1, keepdims=True)
    similarity = (8 * ecg @ text.T).double().numpy()
    expected = (cross_entropy(similarity, wanted) + cross_entropy(similarity.T, wanted)) / 2
    assert ask("soft-target", of) == pytest.approx(expected, rel=1e-5)


def test_siglip_is_a_yes_or_no_for_every_pair() -> None:
    """Zhai et al. 2023, arXiv:2303.15343, algorithm 1."""
    of = batch()
    ecg, text = of[0].double().numpy(), of[1].double().numpy()
    total = 0.0
    for i in range(7):
        for j in range(7):
            z = 1 if i == j else -1
            total += math.log(1 + math.exp(-z * (8 * float(ecg[i] @ text[j]) - 10)))
    assert ask("siglip", of, bias=-10.0) == pytest.approx(total / 7, rel=1e-5)


@given(n=st.integers(2, 12), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=30)
def test_without_anything_in_common_both_are_clip(n: int, seed: int) -> None:
    ecg, text, _, _ = batch(n, seed)
    of = (ecg, text, torch.arange(n), torch.eye(n))
    clip = ask("clip", of)
    assert ask("multi-positive", of) == pytest.approx(clip, rel=1e-5, abs=1e-6)
    assert ask("soft-target", of) == pytest.approx(clip, rel=1e-5, abs=1e-6)


@given(n=st.integers(2, 12), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=30)
def test_the_order_of_a_batch_does_not_matter(n: int, seed: int) -> None:
    of = batch(n, seed)
    turned = tuple(part.flip(0) for part in of)
    for loss in ("clip", "multi-positive", "soft-target"):
        assert ask(loss, turned) == pytest.approx(ask(loss, of), rel=1e-5, abs=1e-6)


def test_targets_are_rows_that_sum_to_one_and_a_record_matches_itself() -> None:
    _, _, sentences, findings = batch(9)
    findings[3] = 0  # a record without findings matches itself alone
    for wanted in (same_sentence(sentences, findings), shared_findings(sentences, findings)):
        torch.testing.assert_close(wanted.sum(1), torch.ones(9))
        assert (wanted.diagonal() > 0).all()
    assert shared_findings(sentences, findings)[3].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_multi_positive_does_not_push_apart_what_has_one_sentence() -> None:
    """Two records with the same text: to clip the perfect answer still costs log 2, to multi-positive nothing more."""
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    of = (same, same, torch.tensor([4, 4]), torch.ones(2, 1))
    assert ask("clip", of) == pytest.approx(math.log(2))
    ecg = same.clone().requires_grad_()
    build_loss(recipe("multi-positive"))(ecg, same, SCALE, None, of[2], of[3]).backward()
    torch.testing.assert_close(ecg.grad, torch.zeros(2, 2))


def test_statistics_of_a_batch() -> None:
    assert float(share_of_duplicates(torch.tensor([1, 2, 1, 3, 1]))) == pytest.approx(0.6)
    vectors, _, _, _ = batch(6)
    pairs = [float(vectors[i] @ vectors[j]) for i in range(6) for j in range(6) if i != j]
    assert float(mean_pairwise_cosine(vectors)) == pytest.approx(np.mean(pairs), abs=1e-6)


def test_only_siglip_has_a_bias_and_needs_it() -> None:
    torch.manual_seed(0)
    biased = ContrastiveModel(torch.nn.Flatten(), 6, 4, recipe("siglip"))
    assert biased.logit_bias is not None and float(biased.logit_bias.detach()) == -10
    assert "logit_bias" not in ContrastiveModel(torch.nn.Flatten(), 6, 4, recipe("clip")).state_dict()
    with pytest.raises(EcgbenchError, match="siglip needs it"):
        load_recipe("quick+loss=siglip")
    with pytest.raises(EcgbenchError, match="belongs to the loss siglip"):
        load_recipe("quick+logit_bias=-10")


@pytest.mark.parametrize("loss", ["clip", "siglip", "multi-positive", "soft-target"])
def test_every_loss_reaches_every_parameter_that_learns(loss: str) -> None:
    torch.manual_seed(0)
    net = ContrastiveModel(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 8)), 8, 4, recipe(loss))
    findings = (torch.rand(5, 3) > 0.5).float()
    told = net(torch.randn(5, 2, 3), torch.randn(5, 4), torch.tensor([0, 1, 0, 2, 3]), findings)
    told["loss"].backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert float(told["duplicates"]) == pytest.approx(0.4)
    assert not told["ecg_cosine"].requires_grad
