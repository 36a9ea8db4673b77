"""Short histories, written as an agency would send them, for the oracle's tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tepat_demo.oracle import Announcement, Outcome, Record, expected

SECRET = b"a secret of thirty-two bytes, no less"
TIME = "2026-01-05T08:00:00+07:00"

ANI, BUDI, CITRA, DEWI = "3374014101900001", "3374010201900001", "3374014303900001", "3374014404900001"
MAWAR, MELATI, KENANGA = "3374010101200001", "3374010101200002", "3374010101200003"

POLICY: dict[str, Any] = {
    "version": "t",
    "agencies": [
        {"id": "dinsos", "trust_rank": 2, "programmes": ["PKH"], "rights": ["merge"]},
        {"id": "himbara", "trust_rank": 1, "programmes": ["BPNT"]},
        {"id": "dpmd", "trust_rank": 2, "programmes": ["BLT-DD"]},
        {"id": "warga", "programmes": ["SB"]},
    ],
    "programmes": [{"code": "PKH"}, {"code": "BPNT"}, {"code": "BLT-DD"}, {"code": "SB", "repeatable": True}],
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
        {"id": "pkh-blt", "programmes": ["BLT-DD", "PKH"], "scope": "household", "verdict": "exclusive"},
    ],
}


def policy(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The policy above with these rules in place of its own."""
    return {**POLICY, "overlap_rules": list(rules), **more}


def rule(id_: str, one: str, other: str, scope: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "programmes": [one, other], "scope": scope, "verdict": verdict, **more}


@dataclass
class History:
    """The accepted records so far; each method adds one."""

    records: list[Record] = field(default_factory=list)

    def send(
        self,
        agency: str,
        kind: str,
        type_: str,
        data: dict[str, Any],
        *,
        time: str = TIME,
        id_: str | None = None,
    ) -> History:
        event = {
            "specversion": "1.0",
            "id": id_ or f"e{len(self.records)}",
            "source": f"urn:tepat:agency:{agency}",
            "type": type_,
            "time": time,
            "data": data,
        }
        return self.raw(agency, kind, json.dumps(event).encode())

    def raw(self, agency: str, kind: str, value: bytes, headers: Mapping[str, str] | None = None) -> History:
        sent = [(name, text.encode()) for name, text in (headers or {}).items()]
        self.records.append(Record(f"agency.{agency}.{kind}.v1", 0, len(self.records), sent, value))
        return self

    def pay(
        self,
        programme: str = "PKH",
        nik: str = ANI,
        kk: str | None = MAWAR,
        *,
        agency: str = "dinsos",
        payout: str = "p1",
        days: tuple[str, str] = ("2026-01-01", "2026-03-31"),
        amount: int = 750_000,
        state: str = "disbursed",
        revision: int = 0,
        region: str = "33.74.01.1001",
        time: str = TIME,
        id_: str | None = None,
        **more: Any,
    ) -> History:
        data = {
            "payout_id": payout,
            "revision": revision,
            "programme": programme,
            "covers": {"from": days[0], "to": days[1]},
            "recipient": {"nik": nik, "kk": kk},
            "benefit": {"kind": "cash", "amount": amount},
            "region": region,
            **more,
        }
        return self.send(agency, "payouts", f"tepat.payout.{state}.v1", data, time=time, id_=id_)

    def end(self, state: str, payout: str = "p1", *, agency: str = "dinsos", revision: int = 0, **more: Any) -> History:
        data = {"payout_id": payout, "revision": revision, "reason": "account closed"}
        return self.send(agency, "payouts", f"tepat.payout.{state}.v1", data, **more)

    def lives(
        self,
        nik: str,
        kk: str,
        since: str = "2020-01-01",
        until: str | None = None,
        *,
        agency: str = "dinsos",
        revision: int = 0,
        **more: Any,
    ) -> History:
        data = {"nik": nik, "kk": kk, "since": since, "until": until, "revision": revision}
        return self.send(agency, "beneficiaries", "tepat.person.recorded.v1", data, **more)

    def merge(self, from_: str, into: str, *, agency: str = "dinsos", revision: int = 0, **more: Any) -> History:
        data = {"from_nik": from_, "into_nik": into, "revision": revision}
        return self.send(agency, "beneficiaries", "tepat.persons.merged.v1", data, **more)

    def unmerge(self, from_: str, *, agency: str = "dinsos", revision: int = 0, **more: Any) -> History:
        data = {"from_nik": from_, "revision": revision}
        return self.send(agency, "beneficiaries", "tepat.persons.unmerged.v1", data, **more)

    def renew(self, from_: str, into: str | None, *, agency: str = "dinsos", revision: int = 0, **more: Any) -> History:
        data = {"from_kk": from_, "into_kk": into, "revision": revision}
        return self.send(agency, "beneficiaries", "tepat.household.renewed.v1", data, **more)

    def outcome(self, policy: Mapping[str, Any] = POLICY) -> Outcome:
        return expected(self.records, policy, SECRET)

    def overlaps(self, policy: Mapping[str, Any] = POLICY) -> list[Announcement]:
        found = self.outcome(policy).overlaps.values()
        return sorted(found, key=lambda o: [(p["agency"], p["payout_id"]) for p in o["payouts"]])

    def pairs(self, policy: Mapping[str, Any] = POLICY) -> list[str]:
        """The pairs of payouts that overlap, as `p1+p2`."""
        return ["+".join(p["payout_id"] for p in o["payouts"]) for o in self.overlaps(policy)]
