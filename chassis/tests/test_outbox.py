"""What the relay sends in one round."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tepat_chassis.outbox import one_round

PROGRESS = "registry.progress.v1"

rows = st.lists(
    st.builds(
        lambda topic, key: {"topic": topic, "key": key},
        st.sampled_from(["registry.persons.v1", "registry.persons.v1", "registry.reports.v1", PROGRESS]),
        st.sampled_from("abc"),
    ),
    max_size=20,
).map(lambda made: [row | {"id": number} for number, row in enumerate(made)])


@given(rows)
def test_a_round_holds_a_key_once_and_progress_follows_a_round_that_left_nothing_before_it(left: list[Any]) -> None:
    sent: list[int] = []
    order: dict[tuple[str, str], int] = {}
    while left:
        taken = one_round(left, PROGRESS)
        assert taken, "every round sends something"
        assert len({(row["topic"], row["key"]) for row in taken}) == len(taken)
        for row in taken:
            if row["topic"] == PROGRESS:
                assert sorted(sent) == list(range(row["id"])), "all before it went in earlier rounds"
            assert order.get((row["topic"], row["key"]), -1) < row["id"]
            order[row["topic"], row["key"]] = row["id"]
        sent += [row["id"] for row in taken]
        left = [row for row in left if row["id"] not in sent]
