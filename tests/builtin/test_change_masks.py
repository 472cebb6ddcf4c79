"""Masks from how much a picture changed."""

from __future__ import annotations

import numpy as np
import pytest

from modules.builtin.change_masks import ChangeRules, change_mask, neighbour_weights, smoothed, usual_value

USUAL = ChangeRules(preservation=0.5, influence=0.0, threshold=0.5, contrast=2.0)


def by_hand(values: np.ndarray, row: int, column: int, lowest: float, highest: float) -> float:
    """The filter at one place, as its description says it."""
    weights, elements = neighbour_weights(), []
    for down in range(-2, 3):
        for right in range(-2, 3):
            y, x = row + down, column + right
            if 0 <= y < values.shape[0] and 0 <= x < values.shape[1]:
                elements.append((float(values[y, x]), weights[down + 2, right + 2]))
    elements.sort()
    total = sum(weight for _, weight in elements)
    begin, end = total * lowest, total * highest
    if end - begin < 1:
        begin, end = (begin + end - 1) / 2, (begin + end + 1) / 2
        if end > total:
            begin, end = total - 1, total
        if begin < 0:
            begin, end = 0, 1
    at = summed = counted = 0.0
    for value, weight in elements:
        inside = max(0.0, min(end, at + weight) - max(begin, at))
        summed, counted, at = summed + value * inside, counted + inside, at + weight
    return summed / counted


@pytest.mark.parametrize("window", [(0.9, 1.0), (0.25, 0.75), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5)])
def test_the_filter_is_the_weighted_mean_of_a_part_of_the_order(window: tuple[float, float]) -> None:
    values = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    found = usual_value(values, *window)
    for row, column in ((0, 0), (0, 4), (3, 8), (6, 8), (3, 4)):
        assert found[row, column] == pytest.approx(by_hand(values, row, column, *window), rel=1e-5)


def test_the_kernel_is_one_in_the_middle_and_falls_to_all_sides() -> None:
    weights = neighbour_weights()
    assert weights[2, 2] == 1
    assert (weights > 0).all()
    assert np.allclose(weights, weights.T)
    assert list(weights[2]) == [*sorted(weights[2, :2]), 1.0, *sorted(weights[2, 3:], reverse=True)]


def test_the_step_is_flat_at_both_ends_and_a_half_in_the_middle() -> None:
    assert smoothed(np.float32([0, 0.5, 1])).tolist() == [0, 0.5, 1]
    assert smoothed(np.float32([0.05]))[0] < 0.002


def shades(distance: np.ndarray, rules: ChangeRules = USUAL, painted: float = 1.0) -> np.ndarray:
    mask = change_mask(distance.astype(np.float32), np.full(distance.shape, painted, np.float32), rules, (128, 128))
    assert (mask.size, mask.mode) == ((128, 128), "L")
    return np.asarray(mask)


def test_where_nothing_changed_the_original_shows_and_where_much_changed_it_does_not() -> None:
    distance = np.zeros((16, 16))
    distance[:, 8:] = 50
    found = shades(distance)
    assert found[:, :16].max() == 0
    assert found[:, 96:].min() == 255


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_threshold_is_where_half_of_the_original_is_left() -> None:
    assert shades(np.full((16, 16), 0.5))[64, 64] == pytest.approx(127, abs=1)
    higher = ChangeRules(0.5, 0.0, 2.0, 2.0)
    assert shades(np.full((16, 16), 0.5), higher).max() < 10
    assert shades(np.full((16, 16), 0.5), ChangeRules(0.5, 0.0, 0.0, 2.0)).min() == 255, "any change hides it"


def test_with_contrast_the_transition_is_more_sudden() -> None:
    little = np.full((16, 16), 0.4)
    soft, hard = (shades(little, ChangeRules(0.5, 0.0, 0.5, contrast))[64, 64] for contrast in (1.0, 8.0))
    assert hard < soft < 127


def test_with_full_influence_what_was_masked_little_keeps_the_original() -> None:
    rules = ChangeRules(0.5, 1.0, 0.5, 2.0)
    changed = np.full((16, 16), 0.6)
    assert shades(changed, rules, painted=0.01).max() < shades(changed, rules, painted=0.99).min()
