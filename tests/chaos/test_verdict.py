"""What the verdict rests on notices what it should."""

import json

from tepat_demo.oracle import Record

from .verdict import fallen


def told(offset: int, key: bytes, revision: int, content: str = "") -> Record:
    """A record as the registry writes it: without a subject, its id of this revision alone."""
    event = {"id": f"{key.decode()}/{revision}", "data": {"revision": revision, "content": content}}
    return Record("registry.persons.v1", 0, offset, [], json.dumps(event).encode(), key=key)


def test_a_revision_that_falls_under_a_key_is_noticed_whatever_the_events_ids() -> None:
    assert fallen([told(0, b"a", 1), told(1, b"b", 1), told(2, b"a", 2), told(3, b"a", 2)]) == []
    assert fallen([told(0, b"a", 2), told(1, b"a", 1)]) == ["registry.persons.v1 0:1 a: revision 1 after 2"]


def test_one_revision_with_two_contents_is_noticed() -> None:
    assert fallen([told(0, b"a", 1), told(1, b"a", 1, "other")]) == [
        "registry.persons.v1 0:1 a: revision 1 with two contents"
    ]
