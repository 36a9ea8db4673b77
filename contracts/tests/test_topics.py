"""Topics as the contract lists them, and who may do what on them."""

import re

import pytest
from tepat_contracts.policy import PolicyIndex
from tepat_contracts.topics import (
    PARTITIONS,
    POLICY,
    Acl,
    Kind,
    acls,
    agency_of,
    clearances_name,
    for_policy,
    inbound_name,
    inbound_pattern,
    own,
    progress_name,
    receipts_name,
)

DAY = 86_400_000
OF_ONE_PARTITION = {"policy.v1", progress_name("registry"), progress_name("eligibility")}


def test_a_policy_asks_for_our_topics_and_six_for_each_agency(policy: PolicyIndex) -> None:
    topics = for_policy(policy.policy, partitions=6)
    names = [topic.name for topic in topics]
    assert len(names) == len(set(names)) == len(own()) + 6 * len(policy.agencies)
    assert {f"agency.bulog.{kind}.v1" for kind in Kind}.isdisjoint(names)
    for kind in Kind:
        assert inbound_name("dinsos-jateng", kind) in names
    assert receipts_name("dinsos-jateng") in names
    assert clearances_name("dinsos-jateng") in names
    assert {topic.partitions for topic in topics if topic.name not in OF_ONE_PARTITION} == {6}


def test_some_topics_have_one_partition_whatever_the_cluster_says() -> None:
    assert {t.name for t in own(48) if t.partitions == 1} == OF_ONE_PARTITION
    assert POLICY.partitions == 1
    assert {t.partitions for t in own() if t.name not in OF_ONE_PARTITION} == {PARTITIONS}


def test_retention_is_as_agreed(policy: PolicyIndex) -> None:
    settings = {t.name: t.config() for t in for_policy(policy.policy)}
    for name in ("payouts", "beneficiaries", "reports", "verifications", "receipts"):
        config = settings[f"agency.dinsos-jateng.{name}.v1"]
        assert (config["cleanup.policy"], config["retention.ms"]) == ("delete", str(30 * DAY))
    assert settings["agency.dinsos-jateng.clearances.v1"]["cleanup.policy"] == "compact"
    assert settings["notifications.deliveries.v1"]["retention.ms"] == str(365 * DAY)
    assert settings["registry.quarantine.v1"]["retention.ms"] == str(90 * DAY)
    for config in settings.values():
        assert config["message.timestamp.type"] == "LogAppendTime"
        assert int(config["max.message.bytes"]) > 2 * 1024 * 1024
        assert ("retention.ms" in config) == (config["cleanup.policy"] == "delete")


def test_only_its_own_agency_writes_to_an_inbound_topic(policy: PolicyIndex) -> None:
    """And the service through which people speak in its name: decisions 15 and 23."""
    rules = list(acls(for_policy(policy.policy)))
    speaking = {Kind.BENEFICIARIES: {"registry"}, Kind.REPORTS: {"distribution"}}
    for kind in Kind:
        writers = {
            a.principal for a in rules if a.topic == inbound_name("himbara-bpnt", kind) and a.operation == "WRITE"
        }
        assert writers == {"agency.himbara-bpnt", *speaking.get(kind, ())}
    reads = {a.topic for a in rules if a.principal == "agency.himbara-bpnt" and a.operation == "READ"}
    assert reads == {receipts_name("himbara-bpnt"), clearances_name("himbara-bpnt")}


def test_who_pays_may_ask_where_an_agencys_word_of_persons_ends_and_not_read_it(policy: PolicyIndex) -> None:
    rules = list(acls(for_policy(policy.policy)))
    for kind in (Kind.BENEFICIARIES, Kind.VERIFICATIONS):
        told = {a.operation for a in rules if a.topic == inbound_name("himbara-bpnt", kind)
                and a.principal == "distribution"}  # fmt: skip
        assert told == {"DESCRIBE"}


def test_the_overlaps_are_read_by_agencies_with_the_right(policy: PolicyIndex) -> None:
    rules = set(acls(for_policy(policy.policy)))
    assert Acl("agency.dinsos-jateng", "READ", "distribution.overlaps.v1") in rules
    assert Acl("agency.himbara-bpnt", "READ", "distribution.overlaps.v1") not in rules


@pytest.mark.parametrize("kind", Kind)
def test_an_inbound_pattern_matches_its_kind_alone(kind: Kind) -> None:
    pattern = re.compile(inbound_pattern(kind))
    assert pattern.match(f"agency.dinsos-jateng.{kind}.v1")
    own = f"agency.dinsos.{kind}.v1"
    for other in (
        f"{own}.bak",
        f"x{own}",
        own.replace(".v1", ".v2"),
        own.replace("dinsos", "x"),
        own.replace("dinsos", "a.b"),
    ):
        assert not pattern.match(other)
    assert not pattern.match("agency.dinsos.receipts.v1")


def test_the_agency_of_a_topic() -> None:
    assert agency_of("agency.dinsos-jateng.payouts.v1") == "dinsos-jateng"
    for other in ("policy.v1", "agency.A.payouts.v1", "agency.dinsos.payouts", "distribution.overlaps.v1", ""):
        with pytest.raises(ValueError, match="not the topic"):
            agency_of(other)
