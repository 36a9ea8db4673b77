"""Ranges of offsets."""

from hypothesis import given
from hypothesis import strategies as st
from tepat_cli.sending import Spans

ranges = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda each: (each[0], each[0] + each[1]))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=8), st.lists(ranges, max_size=8))
def test_spans_are_sets_of_offsets(batches: list[tuple[int, int]], removed: list[tuple[int, int]]) -> None:
    spans, offsets, next_ = Spans(), set[int](), 0
    for gap, count in batches:
        start = next_ + gap
        next_ = start + count
        spans.add(start, next_ - 1)
        offsets |= set(range(start, next_))
    for first, last in removed:
        spans.remove(first, last)
        offsets -= set(range(first, last + 1))
    assert {offset for start, end in spans.ranges for offset in range(start, end + 1)} == offsets
    assert len(spans) == len(offsets)


def test_batches_that_follow_one_another_are_one_range() -> None:
    spans = Spans()
    for start in range(0, 1_000_000, 500):
        spans.add(start, start + 499)
    assert spans.ranges == [(0, 999_999)]
