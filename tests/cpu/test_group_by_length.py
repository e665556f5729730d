"""Test how a batch is divided into forward passes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.texts import mixed_texts
from bot.cpu.group_by_length import group_by_length, passes_by_length

lengths = st.lists(st.integers(1, 400), max_size=40)


@given(lengths, st.integers(1, 2_000))
def test_everything_is_in_one_group_and_groups_keep_their_limit(lengths: list[int], most: int) -> None:
    groups = group_by_length(lengths, most=most)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[place] for place in group) <= most


@given(lengths)
def test_short_ones_come_first(lengths: list[int]) -> None:
    order = [lengths[place] for group in group_by_length(lengths, most=1 << 30) for place in group]
    assert order == sorted(order)


def test_equal_lengths_stay_together() -> None:
    assert group_by_length([7] * 20, most=1 << 30) == [list(range(20))]


def test_almost_nothing_is_spent_on_padding() -> None:
    texts = [len(text.split()) + 2 for text in mixed_texts(64)]
    groups = group_by_length(texts, most=16_384)
    padded = sum(len(group) * max(texts[place] for place in group) for group in groups)
    assert padded < 1.15 * sum(texts)
    assert len(groups) < 16


@given(lengths, st.integers(1, 2_000))
def test_passes_without_padding_keep_their_limit(lengths: list[int], most: int) -> None:
    passes = passes_by_length(lengths, most=most)
    assert sorted(place for each in passes for place in each) == list(range(len(lengths)))
    for each in passes:
        assert len(each) == 1 or sum(lengths[place] for place in each) <= most


def test_passes_without_padding_are_even() -> None:
    assert passes_by_length([10] * 30, most=200) == [list(range(15)), list(range(15, 30))]
    assert passes_by_length([7, 100, 3, 30, 500, 3], most=200) == [[2, 5, 0, 3, 1], [4]]
