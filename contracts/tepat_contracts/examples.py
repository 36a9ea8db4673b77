"""One good example of every event, for the published schemas, for templates and for tests.

Invariant: the persons are invented; their numbers are valid in form and belong to nobody known to us.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from .envelope import SPEC_VERSION, agency_source, service_source

NIK: Final = "3374015508950001"
OTHER_NIK: Final = "3374014107600002"
KK: Final = "3374011203100007"
OTHER_KK: Final = "3374010506250003"
AGENCY: Final = "dinsos-jateng"
REGION: Final = "33.74.01.1001"
TIME: Final = "2026-01-05T08:00:00+07:00"

_PERSON: Final = "0b7b8a52-5e7c-5c0d-8d1e-6a3d6c1f2e41"
_HOUSEHOLD: Final = "9d2f6c0e-31b4-5b7a-a1c9-04f5d7e8b632"
_ALONE: Final = "c4a1e9d3-7f20-5d64-b8e2-19a06b35f7c8"
_OVERLAP: Final = "e81b1f6a-9c0d-5f2b-8f3e-2d7c4a6b9e10"
_FINDING: Final = "51d2c3b4-a596-5877-9a6b-0c1d2e3f4a5b"

_PAYOUT: Final = {
    "payout_id": "PKH-2026-T1-000123",
    "revision": 0,
    "programme": "PKH",
    "covers": {"from": "2026-01-01", "to": "2026-03-31"},
    "recipient": {"nik": NIK, "kk": KK, "name": "Siti Aminah", "birth_date": "1995-08-15"},
    "benefit": {"kind": "cash", "amount": 750000},
    "region": REGION,
    "tranche": "2026-T1",
    "component": "SD",
    "channel": "himbara",
}

#: The `data` of one event of each type that agencies send.
INBOUND_DATA: Final[Mapping[str, dict[str, Any]]] = {
    "tepat.payout.planned.v1": _PAYOUT,
    "tepat.payout.disbursed.v1": {
        **_PAYOUT,
        "payout_id": "BPNT-2026-01-000077",
        "programme": "BPNT",
        "benefit": {"kind": "food", "amount": 200000, "quantity": 10, "unit": "kg"},
    },
    "tepat.payout.cancelled.v1": {"payout_id": "PKH-2026-T1-000123", "revision": 1, "reason": "pindah domisili"},
    "tepat.payout.returned.v1": {"payout_id": "PKH-2026-T1-000123", "revision": 1, "reason": "rekening tidak aktif"},
    "tepat.source.complete.v1": {"kind": "payouts", "programme": "PKH", "through": "2026-01-31"},
    "tepat.person.recorded.v1": {
        "nik": NIK,
        "revision": 0,
        "name": "Siti Aminah",
        "sex": "P",
        "birth_date": "1995-08-15",
        "region": REGION,
        "kk": KK,
        "since": "2019-04-02",
        "relation": "spouse",
        "attributes": {
            "decile": 2,
            "occupation": "buruh",
            "disability": False,
            "pregnant": True,
            "ppks": ["fakir_miskin"],
        },
    },
    "tepat.persons.merged.v1": {
        "from_nik": OTHER_NIK,
        "into_nik": NIK,
        "revision": 0,
        "decided_by": "Dispendukcapil Kota Semarang",
        "reason": "NIK ganda",
    },
    "tepat.persons.unmerged.v1": {
        "from_nik": OTHER_NIK,
        "revision": 1,
        "decided_by": "Dispendukcapil Kota Semarang",
        "reason": "dua orang berbeda",
    },
    "tepat.household.renewed.v1": {"from_kk": KK, "into_kk": OTHER_KK, "revision": 0, "reason": "pisah KK"},
    "tepat.person.erased.v1": {
        "nik": OTHER_NIK,
        "revision": 0,
        "decided_by": "Dinas Sosial Provinsi Jawa Tengah",
        "reason": "permintaan subjek data",
    },
    "tepat.institution.recorded.v1": {
        "institution_id": "WKSBM-3374-01",
        "kind": "WKSBM",
        "name": "WKSBM Guyub Rukun",
        "regions": [REGION],
        "contact": {"phone": "0811-0000-000"},
        "active": True,
        "revision": 0,
    },
    "tepat.report.filed.v1": {
        "report_id": "LAP-2026-0001",
        "revision": 0,
        "filed_by": {"role": "rt", "name": "Ketua RT 03", "contact": "0811-0000-001"},
        "kind": "unserved_poor",
        "region": REGION,
        "people": [{"nik": OTHER_NIK, "name": "Mbah Karto", "birth_date": "1960-07-01", "note": "tinggal sendiri"}],
        "households": 1,
        "happened_on": "2026-01-03",
        "text": "Lansia sebatang kara belum pernah menerima bantuan.",
    },
    "tepat.report.answered.v1": {
        "report_id": "LAP-2026-0001",
        "revision": 1,
        "outcome": "referred",
        "to_agency": AGENCY,
        "reason": "diusulkan permakanan",
    },
    "tepat.verification.listed.v1": {
        "batch": "2026-01-semarang-tengah",
        "revision": 0,
        "nik": NIK,
        "programme": "PKH",
        "region": REGION,
        "listed_on": "2026-01-02",
    },
    "tepat.verification.recorded.v1": {
        "verification_id": "V-2026-000045",
        "revision": 0,
        "batch": "2026-01-semarang-tengah",
        "nik": NIK,
        "programme": "PKH",
        "outcome": "confirmed",
        "verified_on": "2026-01-10",
        "officer": "TKSK Semarang Tengah",
        "region": REGION,
        "answers": {"lantai": "tanah", "penghasilan": 900000},
        "evidence": [{"kind": "photo", "sha256": "0f" * 32}],
    },
    "tepat.objection.filed.v1": {
        "objection_id": "S-2026-000007",
        "revision": 0,
        "nik": OTHER_NIK,
        "programme": "PKH",
        "grounds": "wrongly_excluded",
        "region": REGION,
        "filed_on": "2026-01-12",
        "evidence": [{"kind": "photo", "sha256": "1e" * 32}],
        "coordinates": {"lat": -6.9825, "lon": 110.4205},
        "filed_by": {"role": "rt", "name": "Ketua RT 03"},
    },
}

_PLACE: Final = {"topic": f"agency.{AGENCY}.payouts.v1", "partition": 0, "offset": 41}

#: The `data` of one event of each type that we send.
OUTBOUND_DATA: Final[Mapping[str, dict[str, Any]]] = {
    "tepat.overlap.detected.v1": {
        "overlap_id": _OVERLAP,
        "revision": 1,
        "rule": "pkh-bpnt",
        "verdict": "review",
        "scope": "household",
        "household": _HOUSEHOLD,
        "payouts": [
            {
                "agency": AGENCY,
                "payout_id": "PKH-2026-T1-000123",
                "revision": 0,
                "state": "planned",
                "programme": "PKH",
                "amount": 750000,
            },
            {
                "agency": "himbara-bpnt",
                "payout_id": "BPNT-2026-01-000077",
                "revision": 0,
                "state": "disbursed",
                "programme": "BPNT",
                "amount": 200000,
            },
        ],
        "during": {"from": "2026-01-01", "to": "2026-01-31"},
        "amount_at_risk": 200000,
        "region": REGION,
        "policy_version": "2026-01",
    },
    "tepat.overlap.cleared.v1": {
        "overlap_id": _OVERLAP,
        "revision": 2,
        "payouts": [
            {"agency": AGENCY, "payout_id": "PKH-2026-T1-000123", "ended": 1},
            {"agency": "himbara-bpnt", "payout_id": "BPNT-2026-01-000077"},
        ],
        "reason": "payout_ended",
    },
    "tepat.case.told.v1": {
        "overlap_id": _OVERLAP,
        "revision": 2,
        "state": "held",
        "act": "held",
        "at": "2026-01-06T09:00:00+07:00",
        "by": "rini",
        "assigned_to": "rini",
        "reason": "The family chose PKH",
        "basis": "Permendesa 6/2020",
        "deadline": "2026-01-20T09:00:00+07:00",
        "judged": {"digest": "0f5c1d2e3b4a59687766554433221100", "states": ["planned", "planned"]},
        "acts": [
            {
                "act": "assigned",
                "at": "2026-01-06T08:00:00+07:00",
                "overlap_revision": 1,
                "by": "kepala",
                "assigned_to": "rini",
            },
            {
                "act": "held",
                "at": "2026-01-06T09:00:00+07:00",
                "overlap_revision": 1,
                "by": "rini",
                "reason": "The family chose PKH",
                "basis": "Permendesa 6/2020",
            },
        ],
        "verdict": "exclusive",
        "payouts": [
            {"agency": AGENCY, "payout_id": "PKH-2026-T1-000123"},
            {"agency": "himbara-bpnt", "payout_id": "BPNT-2026-01-000077"},
        ],
        "programmes": ["PKH", "BPNT"],
        "amount_at_risk": 600_000,
        "region": "33.74.01.1001",
    },
    "tepat.clearance.issued.v1": {
        "payout_id": "PKH-2026-T1-000123",
        "revision": 0,
        "decision": "clear",
        "overlaps": [_OVERLAP],
        "reasons": [],
        "policy_version": "2026-01",
        "as_of": "2026-01-05T01:00:02.5Z",
    },
    "tepat.person.resolved.v1": {
        "person": _PERSON,
        "revision": 1,
        "stands_for": _PERSON,
        "alone": _ALONE,
        "aliases": [],
        "memberships": [
            {"agency": AGENCY, "household": _HOUSEHOLD, "since": "2019-04-02", "relation": "spouse", "region": REGION}
        ],
        "sex": "P",
        "birth_date": "1995-08-15",
        "region": REGION,
        "attributes": {"decile": 2},
    },
    "tepat.household.resolved.v1": {"household": _HOUSEHOLD, "stands_for": _HOUSEHOLD, "revision": 1},
    "tepat.report.routed.v1": {
        "report_id": "LAP-2026-0001",
        "revision": 1,
        "agency": AGENCY,
        "kind": "unserved_poor",
        "region": REGION,
        "step": "kelurahan",
        "people": [_PERSON],
        "households": 3,
        "state": "waiting",
        "in_charge": AGENCY,
        "since": "2026-01-05T01:00:00Z",
        "deadline": "2026-01-06T01:00:00Z",
        "filed_at": "2026-01-03T01:00:00Z",
    },
    "tepat.suspect.raised.v1": {"pair": _PERSON, "revision": 1, "kind": "merge_circle", "persons": [_PERSON]},
    "tepat.suspect.cleared.v1": {"pair": _PERSON, "revision": 2, "kind": "merge_circle"},
    "tepat.suspect.dismissed.v1": {
        "pair": f"{_HOUSEHOLD}+{_PERSON}",
        "revision": 2,
        "kind": "renewal",
        "persons": [_PERSON],
        "households": [_HOUSEHOLD, _PERSON],
        "region": "33.74.01.1001",
        "evidence": {"day": "2026-03-03", "members": 4},
        "decided_by": "registrar",
        "reason": "two families",
    },
    "tepat.decision.made.v1": {
        "programme": "PKH",
        "unit": "household",
        "household": _HOUSEHOLD,
        "revision": 1,
        "decision": "eligible",
        "reasons": [
            {
                "criterion": "household.decile <= 4",
                "outcome": True,
                "code": "desil",
                "name": {"id": "Desil 1 sampai 4", "en": "Deciles 1 to 4"},
            }
        ],
        "region": REGION,
        "as_of": "2026-01-05",
        "policy_version": "2026-01",
    },
    "tepat.ranking.made.v1": {
        "round": "2026-W02",
        "part": 1,
        "parts": 1,
        "revision": 1,
        "number": 1,
        "programme": "SB",
        "unit": "household",
        "region": REGION,
        "places": 100,
        "of": 650,
        "rank_by": "left_out",
        "policy_version": "2026-01",
        "as_of": "2026-01-05",
        "made_at": "2026-01-05T01:00:00Z",
        "made_by": "operator",
        "ranked": [{"subject": _HOUSEHOLD, "place": 1, "reached": True, "left_out": 1, "region": REGION, "score": 1.0}],
    },
    "tepat.round.told.v1": {
        "round": "2026-W02",
        "revision": 2,
        "programme": "SB",
        "region": REGION,
        "day": "2026-01-09",
        "closes": "2026-01-11",
        "state": "open",
        "kind": "goods",
        "packages": 100,
        "stock": 60,
        "ranked": 650,
        "areas": [
            {
                "region": REGION,
                "allocated": 101,
                "handed": 90,
                "delivered": 40,
                "returned": 1,
                "unclaimed": 0,
                "left": 60,
            }
        ],
    },
    "tepat.round.closed.v1": {
        "round": "2026-W02",
        "part": 1,
        "parts": 1,
        "revision": 1,
        "programme": "SB",
        "turns": [{"subject": _HOUSEHOLD, "had": False}],
    },
    "tepat.round.held.v1": {
        "programme": "SB",
        "region": REGION,
        "day": "2026-01-09",
        "packages": 80,
        "revision": 1,
        "reported_by": "operator",
    },
    "tepat.aid.told.v1": {
        "household": _HOUSEHOLD,
        "revision": 1,
        "payouts": [
            {
                "agency": AGENCY,
                "payout_id": "PKH-2026-T1-000123",
                "person": _PERSON,
                "programme": "PKH",
                "covers": {"from": "2026-01-01", "to": "2026-03-31"},
                "kind": "cash",
                "amount": 750000,
                "state": "disbursed",
                "region": REGION,
                "tranche": "T1",
            }
        ],
    },
    "tepat.finding.raised.v1": {
        "finding_id": _FINDING,
        "revision": 1,
        "rule": "over_cap",
        "household": _HOUSEHOLD,
        "programme": "BPNT",
        "payouts": [
            {"agency": "himbara-bpnt", "payout_id": "BPNT-2026-02-000123"},
            {"agency": "himbara-bpnt", "payout_id": "BPNT-2026-T1-000123"},
        ],
        "region": REGION,
        "evidence": {
            "paid": 800000,
            "cap": 600000,
            "over": 200000,
            "period": "month",
            "periods": 3,
            "from": "2026-01-01",
            "to": "2026-03-31",
        },
        "policy_version": "2026-01",
    },
    "tepat.finding.cleared.v1": {
        "finding_id": _FINDING,
        "revision": 2,
        "rule": "over_cap",
        "payouts": [{"agency": "himbara-bpnt", "payout_id": "BPNT-2026-T1-000123"}],
    },
    "tepat.delivery.recorded.v1": {
        "delivery_id": "019c8f1e-6f3a-7c55-9d0b-0c4f2f1b7a10",
        "revision": 1,
        "agency": AGENCY,
        "channel": "email",
        "kind": "overlaps",
        "verdict": "exclusive",
        "state": "sent",
        "causes": [_OVERLAP],
        "count": 1,
        "attempts": 1,
        "at": "2026-01-05T02:00:02Z",
    },
    "tepat.policy.applied.v1": {
        "version": "2026-01",
        "secret_id": "main",
        "time_zone": "Asia/Jakarta",
        "agencies": [
            {"id": AGENCY, "name": "Dinas Sosial Provinsi Jawa Tengah", "programmes": ["PKH"], "trust_rank": 2}
        ],
        "programmes": [
            {
                "code": "PKH",
                "name": {"id": "Program Keluarga Harapan", "en": "Family Hope Programme"},
                "unit": "household",
                "benefit": "cash",
                "criteria": "household.decile <= 4",
            }
        ],
        "overlap_rules": [],
    },
    "tepat.progress.told.v1": {
        "service": "registry",
        "revision": 8,
        "through": {f"agency.{AGENCY}.beneficiaries.v1": [120, 98, 0]},
    },
    "tepat.event.rejected.v1": {
        **_PLACE,
        "event_id": "0190-7",
        "reason": "nik_invalid",
        "pointer": "/data/recipient/nik",
        "message": "This is no valid NIK: check the 16 digits on the card. / NIK tidak sah: periksa 16 angka pada KTP.",
    },
    "tepat.events.accepted.v1": {
        "topic": f"agency.{AGENCY}.payouts.v1",
        "partition": 0,
        "from_offset": 0,
        "to_offset": 40,
        "accepted": 41,
        "rejected": 0,
    },
    "tepat.event.replayed.v1": {**_PLACE, "event_id": "0190-7", "outcome": "accepted"},
    "tepat.record.quarantined.v1": {**_PLACE, "event_id": "0190-7", "reason": "nik_invalid", "sha256": "0f" * 32},
}


def inbound(type: str, **changed: Any) -> dict[str, Any]:  # noqa: A002 (CloudEvents' own name)
    """A whole good event of a type that agencies send; `changed` replaces attributes of the envelope."""
    return {
        "specversion": SPEC_VERSION,
        "id": "0190-7",
        "source": agency_source(AGENCY),
        "type": type,
        "time": TIME,
        "data": deepcopy(INBOUND_DATA[type]),
    } | changed


def outbound(type: str, service: str) -> dict[str, Any]:  # noqa: A002
    """A whole good event of a type that we send."""
    return {
        "specversion": SPEC_VERSION,
        "id": "0190-8",
        "source": service_source(service),
        "type": type,
        "time": "2026-01-05T01:00:02.5Z",
        "datacontenttype": "application/json",
        "data": deepcopy(OUTBOUND_DATA[type]),
    }
