"""Listings and acts through the services' interfaces, the services played by a transport."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tepat_cli import services
from tepat_contracts.bilingual import halves

from .conftest import Tepat

OVERLAP: dict[str, Any] = {
    "overlap_id": "0f0e",
    "revision": 2,
    "verdict": "exclusive",
    "rule": "pkh-bpnt",
    "payouts": [
        {"agency": "dinsos", "payout_id": "A\x1b[31m", "programme": "PKH", "state": "planned", "amount": 1},
        {"agency": "himbara", "payout_id": "B", "programme": "BPNT", "state": "disbursed", "amount": 2},
    ],
    "during": {"from": "2026-01-01", "to": "2026-03-31"},
    "amount_at_risk": 750000,
    "region": "33.74.01.1001",
}
HELD = {
    "topic": "agency.dinsos.payouts.v1",
    "partition": 3,
    "offset": 42,
    "reason": "nik_invalid",
    "pointer": "/data/recipient/nik",
    "message": "This is no valid NIK",
    "event_id": "e1",
}

WRONG = {"detail": "wrong", "errors": [{"pointer": "query/verdict", "message": "no"}]}

Answer = Callable[[httpx.Request], httpx.Response]


class Api:
    """Four services: answers by method, service and path, and what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get(f"{request.method} {request.url.raw_path.decode().split('?')[0]}")
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(request)
        if answer is None:
            return httpx.Response(404, json={"detail": "there is no such thing"})
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


@pytest.fixture
def api(tepat: Tepat, monkeypatch: pytest.MonkeyPatch) -> Api:
    played = Api()

    def client(headers: dict[str, str]) -> httpx.Client:
        return httpx.Client(headers=headers, transport=httpx.MockTransport(played))

    monkeypatch.setattr(services, "client", client)
    monkeypatch.setenv("TEPAT_API", "http://tepat.example")
    monkeypatch.setenv("TEPAT_TOKEN", "secret-token")
    return played


def objects(text: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in text.splitlines()]


def test_overlaps_are_read_page_by_page(api: Api, tepat: Tepat) -> None:
    def page(request: httpx.Request) -> Any:
        at = int(request.url.params.get("cursor", 0))
        return {"items": [{**OVERLAP, "overlap_id": str(at)}], "next": str(at + 1) if at < 2 else None}

    api.answers["GET /distribution/v1/overlaps"] = page
    ran = tepat(
        "overlaps", "--json", "--verdict", "exclusive", "--region", "33.74", "--agency", "dinsos", "--programme", "PKH"
    )
    assert ran.status == 0
    assert [each["overlap_id"] for each in objects(ran.out)] == ["0", "1", "2"]
    asked = api.asked[0]
    assert asked.headers["authorization"] == "Bearer secret-token"
    assert {**asked.url.params} == {
        "limit": "500", "verdict": "exclusive", "region": "33.74", "agency": "dinsos", "programme": "PKH",
    }  # fmt: skip


def test_cleared_overlaps_are_asked_for_and_a_limit_ends_the_reading(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/overlaps"] = {"items": [OVERLAP] * 3, "next": "more"}
    ran = tepat("overlaps", "--all", "--json", "--limit", 2)
    assert len(objects(ran.out)) == 2
    assert len(api.asked) == 1
    assert api.asked[0].url.params["all"] == "true"


def test_a_pipe_gets_plain_lines_that_steer_no_terminal(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/overlaps"] = {"items": [OVERLAP], "next": None}
    headings, line = tepat("overlaps").out.splitlines()
    row = dict(zip(headings.split("\t"), line.split("\t"), strict=True))
    assert row["at risk"] == "Rp 750.000"
    assert row["payouts"] == "dinsos/A·[31m + himbara/B"
    assert row["during"] == "2026-01-01 – 2026-03-31"


def test_nothing_found_is_said_beside_the_listing(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/overlaps"] = {"items": [], "next": None}
    ran = tepat("overlaps")
    assert (ran.status, ran.out, ran.err) == (0, "", "no overlap / tidak ada tumpang tindih\n")


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (httpx.Response(401, json={"detail": "expired / lewat"}), 2, "(expired): pick one with --as ROLE or"),
        (httpx.Response(401, json={"detail": "expired / lewat"}), 2, "(lewat): pilih yang lain dengan --as ROLE"),
        (httpx.Response(403, json={"detail": "no right / tak ada hak"}), 2, "distribution: no right; or pick another"),
        (httpx.Response(403, text=""), 2, "distribution: haknya belum diberikan; atau pilih peran lain dengan --as"),
        (httpx.Response(422, json=WRONG), 2, "distribution: --verdict no"),
        (httpx.Response(500, json={"detail": "failed"}), 3, "tepat logs --service distribution"),
        (httpx.Response(200, text="<html>"), 3, "--api"),
        (httpx.ConnectError("refused"), 3, "does not answer"),
        (httpx.ReadTimeout("late"), 3, "does not answer"),
    ],
)
def test_answers_that_are_none_say_what_to_do(
    api: Api, tepat: Tepat, answer: httpx.Response | Exception, status: int, words: str
) -> None:
    api.answers["GET /distribution/v1/overlaps"] = answer
    ran = tepat("overlaps")
    assert ran.status == status
    assert words in ran.words
    assert "secret-token" not in ran.words


def test_quarantine_lists_every_service_that_keeps_one(api: Api, tepat: Tepat) -> None:
    for service in ("registry", "eligibility", "distribution"):
        api.answers[f"GET /{service}/v1/quarantine"] = {
            "items": [HELD] if service == "distribution" else [],
            "next": None,
        }
    (item,) = objects(tepat("quarantine", "list", "--json", "--reason", "nik_invalid").out)
    assert item == {"service": "distribution", **HELD}
    assert {request.url.params["reason"] for request in api.asked} == {"nik_invalid"}
    assert tepat("quarantine", "list", "--service", "notifications").status == 2


@pytest.mark.parametrize("named", ["agency.dinsos.payouts.v1-3-42", "agency.dinsos.payouts.v1/3/42"])
def test_one_quarantined_record_is_shown(api: Api, tepat: Tepat, named: str) -> None:
    api.answers["GET /distribution/v1/quarantine/agency.dinsos.payouts.v1/3/42"] = HELD
    assert "nik_invalid" in tepat("quarantine", "show", named).out
    (shown,) = objects(tepat("quarantine", "show", named, "--json").out)
    assert shown == HELD
    assert "purpose" not in api.asked[-1].url.params
    tepat("quarantine", "show", named, "--purpose", "asked by dinsos")
    assert api.asked[-1].url.params["purpose"] == "asked by dinsos"
    ran = tepat("quarantine", "show", "agency.dinsos.payouts.v1-3-43")
    assert (ran.status, "not in quarantine" in ran.words) == (2, True)


def test_without_a_policy_the_command_says_so(api: Api, tepat: Tepat) -> None:
    detail = "no policy was applied yet: `tepat policy apply FILE`"
    api.answers["GET /registry/v1/reports"] = httpx.Response(409, json={"status": 409, "detail": detail})
    ran = tepat("reports", "list")
    assert (ran.status, detail in ran.words) == (2, True)


def test_replaying_names_each_record_to_its_owner(api: Api, tepat: Tepat) -> None:
    api.answers["POST /distribution/v1/quarantine/replay"] = {"replayed": 1, "accepted": 1, "rejected": 0}
    api.answers["POST /registry/v1/quarantine/replay"] = {"replayed": 1, "accepted": 0, "rejected": 1}
    ran = tepat("quarantine", "replay", "agency.dinsos.payouts.v1-3-42", "agency.a-b.beneficiaries.v1-0-7")
    assert ran.status == 1
    assert {request.url.path: orjson.loads(request.content) for request in api.asked} == {
        "/distribution/v1/quarantine/replay": {
            "entries": [{"topic": "agency.dinsos.payouts.v1", "partition": 3, "offset": 42}]
        },
        "/registry/v1/quarantine/replay": {
            "entries": [{"topic": "agency.a-b.beneficiaries.v1", "partition": 0, "offset": 7}]
        },
    }


def test_replaying_by_reason_asks_every_service(api: Api, tepat: Tepat) -> None:
    for service in ("registry", "eligibility", "distribution"):
        api.answers[f"POST /{service}/v1/quarantine/replay"] = {"replayed": 0, "accepted": 0, "rejected": 0}
    assert tepat("quarantine", "replay", "--reason", "region_unknown").status == 0
    assert [orjson.loads(request.content) for request in api.asked] == [{"reason": "region_unknown"}] * 3
    assert tepat("quarantine", "replay", "--all", "--reason", "schema").status == 2
    assert tepat("quarantine", "replay", "--all", "--service", "registry").status == 0
    assert orjson.loads(api.asked[-1].content) == {}


REPORT: dict[str, Any] = {
    "agency": "rt-01", "report_id": "R/1\x1b[31m", "key": "rt-01/R/1", "kind": "flood", "region": "64.72.01.1001",
    "step": "kota", "state": "overdue", "in_charge": "bpbd", "filed_at": "2026-01-05T08:00:00+08:00",
    "since": "2026-01-06T08:00:00+08:00",
}  # fmt: skip
HAPPENED = [
    {"what": "filed", "step": "filed", "agency": "rt-01", "role": "rt", "kind": "flood", "region": "64.72.01.1001"},
    {"what": "asked", "step": "neighbours", "deadline": "2026-01-06", "neighbours": [
        {"agency": "dinsos", "institution_id": "W-1"}]},
    {"what": "unanswered", "step": "neighbours"},
    {"what": "nobody", "step": "kelurahan"},
    {"what": "answered", "step": "kota", "agency": "lsm", "outcome": "declined", "counts": False},
    {"what": "answered", "step": "kota", "agency": "bpbd", "outcome": "referred", "to_agency": "pu", "reason": "air"},
    {
        "what": "answered", "step": "kota", "agency": "bpbd", "outcome": "referred", "to_agency": "aa-prov",
        "unknown": True, "counts": False,
    },
    {"what": "dreamt", "step": "kota"},
]  # fmt: skip


def test_reports_are_listed_and_each_is_one_timeline_in_words(api: Api, tepat: Tepat) -> None:
    api.answers["GET /registry/v1/reports"] = {"items": [REPORT], "next": None}
    headings, line = tepat("reports", "list", "--overdue", "--region", "64.72").out.splitlines()
    row = dict(zip(headings.split("\t"), line.split("\t"), strict=True))
    assert (row["report"], row["in charge"], row["state"]) == ("rt-01/R/1·[31m", "bpbd", "overdue")
    assert {**api.asked[0].url.params} == {"limit": "500", "overdue": "true", "region": "64.72"}

    people = [{"matched_by": "possible", "persons": ["p-1"], "known": True}]
    timeline = [{"at": f"2026-01-0{n}T08:00:00+08:00", **each} for n, each in enumerate(HAPPENED, 1)]
    shown = {**REPORT, "people": people, "timeline": timeline}
    api.answers["GET /registry/v1/reports/rt-01/R%2F1"] = shown
    ran = tepat("reports", "show", "rt-01/R/1")
    for words in (
        "filed by rt-01 (rt): flood in 64.72.01.1001",
        "goes to neighbours first: W-1 (dinsos), to answer by 2026-01-06",
        "the neighbours (neighbours) gave no answer in time",
        "nobody has charge of it at kelurahan: passed at once",
        "lsm answers: declined, which changes nothing",
        "bpbd answers: referred to pu – air",
        "bpbd answers: referred to aa-prov, an agency that the policy does not know: it stays where it is",
        "dreamt",
        "(not disclosed)",
    ):
        assert words in ran.out
    assert objects(tepat("reports", "show", "rt-01/R/1", "--json", "--purpose", "visit").out) == [shown]
    assert api.asked[-1].url.params["purpose"] == "visit"


CASE: dict[str, Any] = {
    "overlap_id": "0f0e", "code": "N4FB6DTK", "state": "open", "revision": 1, "overlap_revision": 4,
    "assigned_to": None, "proposed_by": "kepala", "last_act": {"act": "waive_proposed", "by": "kepala"},
    "announced_at": "2026-01-01T00:00:00Z", "deadline": "2026-01-15T00:00:00Z", "overdue": True,
    "verdict": "exclusive", "rule": "pkh-blt", "during": {"from": "2026-01-01", "to": "2026-03-31"},
    "amount_at_risk": 750_000, "region": "33.74.01.1001", "payouts": OVERLAP["payouts"],
}  # fmt: skip
WHY = ("--reason", "settled", "--basis", "Perda 1/2026")


def test_cases_are_listed_and_each_is_one_timeline_in_words(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/cases"] = {"items": [CASE], "next": None}
    ran = tepat("case", "list", "--state", "open", "--overdue", "--assigned-to", "rini")
    row = dict(zip(*(line.split("\t") for line in ran.out.splitlines()), strict=True))
    assert (row["case"], row["state"]) == ("N4FB6DTK", "open (waiver proposed)")
    assert row["deadline"] == "2026-01-15T00:00:00Z (overdue)"
    assert (row["payouts"], row["at risk"]) == ("dinsos/A·[31m + himbara/B", "Rp 750.000")
    assert (row["revision"], row["case revision"]) == ("4", "1")
    assert {**api.asked[0].url.params} == {
        "limit": "500", "state": "open", "overdue": "true", "assigned_to": "rini"
    }  # fmt: skip
    happened: list[dict[str, Any]] = [
        {"what": "payout planned", "payout": "dinsos/A", "amount": 750_000, "revision": 0,
         "dated": "2026-01-01T00:00:00Z"},
        {"what": "overlap announced", "overlap_revision": 3, "verdict": "exclusive", "rule": "pkh-blt",
         "states": ["planned", "planned"], "amount_at_risk": 750_000},
        {"what": "payout cancelled", "payout": "dinsos/A", "amount": 750_000, "revision": 0, "late": True},
        {"what": "overlap changed", "overlap_revision": 4, "verdict": "exclusive", "rule": "pkh-blt",
         "states": ["planned", "disbursed"], "amount_at_risk": 750_000, "changed": ["states", "revisions"]},
        {"what": "assigned", "act": "assigned", "assigned_to": "rini", "by": "kepala", "overlap_revision": 4},
        {"what": "waive_proposed", "by": "kepala", "reason": "in need", "basis": "Perda 1", "overlap_revision": 4},
        {"what": "held", "by": "rini", "lapsed": "kepala"},
        {"what": "overlap cleared", "overlap_revision": 5, "reason": "payout_changed"},
    ]  # fmt: skip
    shown = CASE | {
        "timeline": [{"at": f"2026-01-0{n}T08:00:00Z", **each} for n, each in enumerate(happened, 1)],
        "money": {"kept": 750_000},
    }  # fmt: skip
    api.answers["GET /distribution/v1/cases/N4FB6DTK"] = shown
    ran = tepat("case", "show", "N4FB6DTK")
    for words in (
        "proposed by  kepala", "money        kept Rp 750.000",
        "2026-01-01T08:00:00Z\tpayout planned: dinsos/A (revision 0), Rp 750.000\t2026-01-01T00:00:00Z",
        "payout cancelled: dinsos/A (revision 0), Rp 750.000, late: what holds over it was told before\t\t",
        "overlap announced: exclusive, planned + planned, Rp 750.000 at risk\t\t\t\t\t3",
        "overlap changed (states, revisions): exclusive, planned + disbursed, Rp 750.000 at risk",
        "overlap cleared\t\t\ta payout was changed\t\t5", "has charge of it: rini\t\tkepala",
        "it takes somebody else\t\tkepala\tin need\tPerda 1\t4",
        "held; the waiver that kepala proposed lapses / usulan pengecualian kepala gugur\t\trini",
    ):  # fmt: skip
        assert words in ran.out
    judge, command = ran.err.splitlines()[-2:]
    assert command == "  tepat case hold N4FB6DTK --revision 4 --case-revision 1 --reason … --basis …"
    assert judge.startswith("to judge it as it is shown here")
    assert halves(judge)[1].startswith("untuk memutuskannya seperti")
    assert [verb in told for told in halves(judge) for verb in ("release", "uphold", "waive")] == [True] * 6
    assert objects(tepat("case", "show", "N4FB6DTK", "--json").out) == [shown]
    api.answers["GET /distribution/v1/cases/N4FB6DTK"] = shown | {"state": "closed"}
    assert "to judge it" not in tepat("case", "show", "N4FB6DTK").err


@pytest.mark.parametrize("what", ["hold", "release", "uphold", "waive"])
def test_what_is_decided_is_of_the_overlap_as_it_was_seen(api: Api, tepat: Tepat, what: str) -> None:
    api.answers["GET /distribution/v1/cases/N4FB6DTK"] = CASE
    api.answers[f"POST /distribution/v1/cases/N4FB6DTK/{what}"] = CASE
    ran = tepat("case", what, "N4FB6DTK", *WHY)
    assert "N4FB6DTK is open, a waiver proposed: somebody else must waive it too" in ran.err
    said = {"reason": "settled", "basis": "Perda 1/2026"}
    assert orjson.loads(api.asked[-1].content) == said | {"revision": 4, "case_revision": 1}
    assert objects(tepat("case", what, "N4FB6DTK", *WHY, "--revision", 3, "--json").out) == [CASE]
    assert orjson.loads(api.asked[-1].content) == said | {"revision": 3, "case_revision": 1}
    del api.asked[:]
    tepat("case", what, "N4FB6DTK", *WHY, "--revision", 3, "--case-revision", 0)  # as it was read, whatever it is now
    assert [orjson.loads(each.content) for each in api.asked] == [said | {"revision": 3, "case_revision": 0}]
    tepat("case", what, "N4FB6DTK", *WHY, "--case-revision", 0)
    assert orjson.loads(api.asked[-1].content) == said | {"revision": 4, "case_revision": 0}
    api.answers[f"POST /distribution/v1/cases/N4FB6DTK/{what}"] = httpx.Response(409, json={"detail": "it has changed"})
    ran = tepat("case", what, "N4FB6DTK", *WHY)
    assert (ran.status, "it has changed" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "asked",
    [("case", "show", ""), ("case", "hold", ".", "--reason", "why"), ("findings", "show", ".."), ("trace", "")],
)
def test_an_empty_id_is_told_so_and_nobody_is_asked(api: Api, tepat: Tepat, asked: tuple[str, ...]) -> None:
    ran = tepat(*asked)
    assert (ran.status, "is no id or name" in ran.err, api.asked) == (2, True, [])


def test_a_case_is_assigned_and_what_cases_saved_is_summed(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/cases/N4FB6DTK"] = CASE
    api.answers["POST /distribution/v1/cases/N4FB6DTK/assign"] = CASE
    assert tepat("case", "assign", "N4FB6DTK", "--to", "rini", "--revision", 4).status == 0
    assert orjson.loads(api.asked[-1].content) == {"to": "rini", "revision": 4, "case_revision": 1}
    api.answers["POST /distribution/v1/cases/N4FB6DTK/assign"] = CASE | {"warning": "nobody has acted here as rini yet"}
    ran = tepat("case", "assign", "N4FB6DTK", "--to", "rini", "--revision", 4)
    assert (ran.status, "nobody has acted here as rini yet" in ran.err) == (0, True)
    names = ("prevented", "recovered", "kept")
    item = {"programme": "PKH", "region": "33.74"} | {
        name: value for each in names for name, value in ((each, 750_000), (f"payouts_{each}", 1))
    }  # fmt: skip
    api.answers["GET /distribution/v1/cases/figures"] = {
        "items": [item], "total": dict.fromkeys(names, 750_000), "beside": {"prevented": 5, "recovered": 0},
    }  # fmt: skip
    ran = tepat("case", "figures", "--region", "33.74")
    assert "PKH\t33.74\tRp 750.000\t1" in ran.out
    assert ran.err.startswith("cases that the policy or somebody judged")
    assert "Rp 750.000 prevented, Rp 750.000 recovered, Rp 750.000 kept" in ran.err
    assert "of what somebody let go: Rp 5 prevented, Rp 0 recovered" in ran.err


def test_answers_to_no_report_and_circles_of_merges_are_listed(api: Api, tepat: Tepat) -> None:
    answer = {"agency": "bpbd", "report_id": "R-9", "outcome": "helped", "answered_at": "2026-01-02T08:00:00+08:00"}
    api.answers["GET /registry/v1/reports/unfiled"] = {"items": [answer], "next": None}
    assert "R-9\tbpbd" in tepat("reports", "unfiled").out
    circle = {
        "pair": "p-1", "kind": "merge_circle", "state": "raised", "persons": ["p-1", "p-2"], "evidence": {},
        "region": None, "raised_at": "2026-01-02T08:00:00Z",
    }  # fmt: skip
    api.answers["GET /registry/v1/suspects"] = {"items": [circle], "next": None}
    assert "2 NIKs are merged in a circle" in tepat("suspects", "list", "--kind", "merge_circle").out


def test_notices_are_listed_shown_and_acknowledged(api: Api, tepat: Tepat) -> None:
    at = "2026-01-02T08:00:00Z"
    notice = {
        "delivery_id": "d-1", "agency": "lurah/Miroto", "channel": "sms", "kind": "report", "state": "sent",
        "reason": None, "causes": 2, "level": 1, "queued_at": at, "due_at": None, "sending_at": at, "sent_at": at,
        "acknowledged_at": None,
    }  # fmt: skip
    api.answers["GET /notifications/v1/notices"] = {"items": [notice], "next": None}
    assert "lurah/Miroto\treport\tsms\tsent\t2" in tepat("notices", "list", "--recipient", "lurah/Miroto").out
    assert api.asked[-1].url.params["agency"] == "lurah/Miroto"
    assert objects(tepat("notices", "list", "--level", "1", "--json").out) == [notice]
    assert api.asked[-1].url.params["level"] == "1"
    cause = {
        "kind": "report", "key": "rt-01/R-1", "state": "awaits", "verdict": "fire", "amount": None,
        "awaited": {"level": 1, "deadline": at, "how": None, "by": None},
        "heard": [
            {"recipient": "lurah/Miroto", "news": "kelurahan/kel", "level": 0, "moment": "now", "due_at": at,
             "heard": True, "channel": "sms", "state": "sent", "sending_at": at},
            {"recipient": "kel", "news": "kelurahan/kel", "level": 1, "moment": "now", "due_at": at, "heard": False},
        ],
        "steps": [{"at": at, "what": "awaited", "level": 0}, {"at": at, "what": "climbed", "level": 1}],
    }  # fmt: skip
    api.answers["GET /notifications/v1/notices/K7QF2MZA"] = {"code": "K7QF2MZA", "causes": [cause]}
    shown = tepat("notices", "show", "K7QF2MZA").out
    for words in ("fire", "at level 1", "lurah/Miroto", "waits (now)", "nobody did in time: the next level's turn"):
        assert words in shown
    assert objects(tepat("notices", "show", "K7QF2MZA", "--json").out)[0]["causes"] == [cause]
    for ended, words in (
        (2, "K7QF2MZA is acknowledged / K7QF2MZA sudah dikonfirmasi"),
        (0, "K7QF2MZA waits for no acknowledgement / K7QF2MZA tidak sedang menunggu konfirmasi"),
    ):
        api.answers["POST /notifications/v1/notices/K7QF2MZA/acknowledge"] = {"code": "K7QF2MZA", "acknowledged": ended}
        assert words in tepat("notices", "acknowledge", "K7QF2MZA", "--note", "rang").words
    assert orjson.loads(api.asked[-1].content) == {"note": "rang"}


def test_replies_are_listed(api: Api, tepat: Tepat) -> None:
    lost = {
        "reply_id": 2, "channel": "sms", "sender": "+62811", "came_at": "2026-03-02T03:01:00Z", "codes": [],
        "outcome": "not_understood", "text": "siapa ini?",
    }  # fmt: skip
    taken = lost | {"reply_id": 1, "outcome": "acknowledged", "codes": ["K7QF2MZA"], "text": None}
    api.answers["GET /notifications/v1/replies"] = {"items": [lost, taken], "next": None}
    ran = tepat("notices", "replies", "--channel", "sms")
    assert "not understood\t\tsiapa ini?" in ran.out
    assert "acknowledged\tK7QF2MZA" in ran.out
    assert api.asked[-1].url.params["channel"] == "sms"
    assert objects(tepat("notices", "replies", "--json").out) == [lost, taken]


def step(at: str, service: str, what: str) -> dict[str, Any]:
    return {"at": at, "service": service, "what": what, "detail": {"n": 1, "none": None}}


def test_a_trace_is_one_timeline_of_all_services(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/trace/dinsos%2FPKH%2F1"] = {
        "steps": [
            step("2026-01-01T00:00:03Z", "distribution", "overlap announced"),
            step("2026-01-01T08:00:01+08:00", "distribution", "payout planned"),
        ]
    }
    api.answers["GET /notifications/v1/trace/dinsos%2FPKH%2F1"] = {
        "steps": [step("2026-01-01T00:00:04Z", "notifications", "notice sent")]
    }
    ran = tepat("trace", "dinsos/PKH/1", "--json")
    assert [each["what"] for each in objects(ran.out)] == ["payout planned", "overlap announced", "notice sent"]
    api.answers["GET /distribution/v1/trace/dinsos%2FPKH%2F1"]["steps"][1]["detail"]["dated"] = "2025-12-01T00:00:00Z"
    assert "payout planned\t2025-12-01T00:00:00Z\tn=1\n" in tepat("trace", "dinsos/PKH/1").out


def test_a_trace_goes_on_under_the_names_that_services_tell(api: Api, tepat: Tepat) -> None:
    taken = step("2026-01-01T00:00:01Z", "distribution", "payout disbursed")
    decided, told = step("2026-01-01T00:00:02Z", "eligibility", "decision made"), "notice sent"
    api.answers["GET /distribution/v1/trace/F-1"] = {
        "steps": [taken], "also": {"eligibility": ["PKH|h-1"], "notifications": ["F-1", "F-2"]},
    }  # fmt: skip
    api.answers["GET /eligibility/v1/trace/PKH%7Ch-1"] = {"steps": [decided]}
    for name in ("F-1", "F-2"):
        api.answers[f"GET /notifications/v1/trace/{name}"] = {"steps": [step("2026-01-02T00:00:00Z", "n", told)]}
    ran = tepat("trace", "F-1", "--json")
    assert [each["what"] for each in objects(ran.out)] == ["payout disbursed", "decision made", told]
    paths = [request.url.raw_path for request in api.asked]
    assert len(paths) == len(set(paths)) == 4 + 2


def test_a_trace_with_a_silent_service_shows_the_rest_and_says_so(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/trace/x"] = {"steps": [step("2026-01-01T00:00:00Z", "distribution", "taken")]}
    api.answers["GET /registry/v1/trace/x"] = httpx.ConnectError("refused")
    ran = tepat("trace", "x")
    assert ran.status == 3
    assert "taken" in ran.out
    assert "registry does not answer" in ran.words
    assert tepat("trace", "y").status == 2


POLICY = Path(__file__).parents[2] / "demo" / "tepat_demo" / "policy.yaml"


def test_a_sound_policy_is_said_to_be(tepat: Tepat) -> None:
    assert tepat("policy", "check", POLICY).status == 0


def test_every_mistake_of_a_policy_is_told_with_its_line(tepat: Tepat, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 2026\nagencies:\n  - {id: X, name: x, programmes: [NONE]}\nprogrammes: []\noverlap_rules: []\n"
    )
    ran = tepat("policy", "check", path)
    assert ran.status == 1
    told = ran.out.splitlines()
    assert any(line.startswith(f"{path}:1:") for line in told)
    assert any(line.startswith(f"{path}:3:") for line in told)
    (first, *_) = objects(tepat("policy", "check", path, "--json").out)
    assert (first["line"], first["path"]) == (1, "version")
    assert tepat("policy", "apply", path, "--kafka", "127.0.0.1:1").status == 1


def test_moments_are_shown_by_the_clocks_of_the_policys_zone(api: Api, tepat: Tepat) -> None:
    told = {"items": [{**HELD, "quarantined_at": "2026-01-05T18:00:00.123456Z", "replayed_at": None}], "next": None}
    api.answers["GET /distribution/v1/quarantine"] = httpx.Response(
        200, json=told, headers={"tepat-time-zone": "Asia/Makassar"}
    )
    headings, line = tepat("quarantine", "list", "--service", "distribution").out.splitlines()
    assert dict(zip(headings.split("\t"), line.split("\t"), strict=True))["since"] == "2026-01-06T02:00:00+08:00"
    (item,) = objects(tepat("quarantine", "list", "--service", "distribution", "--json").out)
    assert item["quarantined_at"] == "2026-01-05T18:00:00.123456Z"
    api.answers["GET /distribution/v1/trace/x"] = httpx.Response(
        200, json={"steps": [step("2026-01-01T00:00:03Z", "distribution", "t")]}, headers={"tepat-time-zone": "UTC"}
    )
    assert tepat("trace", "x").out.splitlines()[1].startswith("2026-01-01T00:00:03+00:00\t")


def test_a_refusal_names_what_was_typed(api: Api, tepat: Tepat) -> None:
    def refused(pointer: str, detail: str = "wrong") -> httpx.Response:
        errors = [{"pointer": pointer, "message": "must be otherwise"}] if pointer else []
        return httpx.Response(422 if pointer else 409, json={"detail": detail, "errors": errors})

    api.answers["POST /registry/v1/suspects/p/dismiss"] = refused("body/reason")
    assert "registry: --reason must be otherwise" in tepat("suspects", "dismiss", "p", "--reason", "x").words
    api.answers["GET /registry/v1/unserved"] = refused("query/region")
    assert "registry: AREA must be otherwise" in tepat("unserved", "list", "xx").words
    api.answers["GET /registry/v1/unserved"] = refused("query/except")
    assert "registry: --except must be otherwise" in tepat("unserved", "list", "33", "--except", "NOPE").words
    api.answers["POST /eligibility/v1/rankings"] = refused("", "say how many `places`, not `packages`")
    ran = tepat("ranking", "make", "r", "--programme", "PKH", "--region", "33.74")
    assert "say how many --places, not `packages`" in ran.words
    api.answers["GET /distribution/v1/report"] = refused("query/by/0")
    assert "distribution: --by must be otherwise" in tepat("report", "33.74", "--by", "warna").words
    api.answers["POST /notifications/v1/notices/xyz/again"] = refused("path/delivery_id")
    assert "notifications: NOTICE must be otherwise" in tepat("notices", "again", "xyz").words
    api.answers["GET /distribution/v1/findings/123"] = refused("path/finding_id")
    assert "distribution: FINDING must be otherwise" in tepat("findings", "show", "123").words
    api.answers["POST /distribution/v1/rounds/r/returns"] = refused("body/returns/0/delivery_id")
    ran = tepat("round", "return", "r", "--reason", "x", "--delivery", "d")
    assert "distribution: --delivery must be otherwise" in ran.words


def test_each_language_names_what_it_speaks_of(api: Api, tepat: Tepat) -> None:
    short = "must have at least {n} characters / harus sedikitnya {n} karakter"
    errors = [
        {"pointer": "body/reason", "message": short.format(n=3)},
        {"pointer": "body/basis", "message": short.format(n=5)},
    ]
    api.answers["POST /distribution/v1/cases/c/uphold"] = httpx.Response(422, json={"errors": errors})
    ran = tepat("case", "uphold", "c", "--revision", 1, "--case-revision", 1, "--reason", "x", "--basis", "x")
    assert ran.status == 2
    assert ran.err.strip() == (
        "tepat: distribution: --reason must have at least 3 characters; --basis must have at least 5 characters"
        " / --reason harus sedikitnya 3 karakter; --basis harus sedikitnya 5 karakter"
    )


@pytest.mark.parametrize(
    ("needy", "days", "words"),
    [
        (0, 0, "nobody there is known to need anything"),
        (3, 0, "everyone there receives something: 3 needy households"),
        (3, 90, "everyone there received something within 90 days: 3 needy households"),
    ],
)
def test_nobody_unserved_is_not_nobody_known(api: Api, tepat: Tepat, needy: int, days: int, words: str) -> None:
    api.answers["GET /registry/v1/unserved"] = {"items": [], "next": None}
    api.answers["GET /registry/v1/unserved/count"] = {"needy": needy, "items": []}
    ran = tepat("unserved", "list", "33.74", "--days", days)
    assert (ran.status, ran.err.startswith(f"{words} / ")) == (0, True)
    assert tepat("unserved", "list", "33.74", "--json").words == ""


def test_a_report_without_its_agency_is_asked_for_with_it(api: Api, tepat: Tepat) -> None:
    ran = tepat("reports", "show", "LAP-2")
    assert (ran.status, "name it as AGENCY/ID, such as rt-07/LAP-2" in ran.words) == (2, True)
    assert api.asked == []


FUNNEL = {
    "batch": "2026-02", "listed": 4011, "visited": 4011, "confirmed": 891, "rejected": 3120, "moved": 0, "deceased": 0,
    "not_found": 0, "waiting": 0, "evidenced": 4011,
    "reasons": [{"outcome": "rejected", "reason": "sudah mampu", "persons": 3120}],
    "regions": [{"region": "35.75.01.1001", "listed": 4011, "visited": 4011, "confirmed": 891, "rejected": 3120,
                 "moved": 0, "deceased": 0, "not_found": 0}],
    "officers": [{"officer": "Bu Rini", "visited": 4011, "confirmed": 891, "rejected": 3120, "moved": 0, "deceased": 0,
                  "not_found": 0}],
    "days": [],
}  # fmt: skip


def test_the_funnel_of_a_batch(api: Api, tepat: Tepat) -> None:
    api.answers["GET /eligibility/v1/verifications/batches/2026-02"] = FUNNEL
    ran = tepat("verification", "funnel", "2026-02", "--agency", "dinsos")
    assert "2026-02: 4,011 listed → 891 confirmed; 3,120 rejected" in ran.words
    assert "rejected\tsudah mampu\t3120" in ran.out
    assert "Bu Rini\t4011\t891" in ran.out
    assert api.asked[0].url.params["agency"] == "dinsos"
    assert objects(tepat("verification", "funnel", "2026-02", "--json").out) == [FUNNEL]
    untold = {"outcome": "rejected", "reason": None, "persons": 7}
    api.answers["GET /eligibility/v1/verifications/batches/2026-02"] = {
        **FUNNEL, "forgotten": 2, "rejected_without_reason": 7, "reasons": [*FUNNEL["reasons"], untold],
    }  # fmt: skip
    ran = tepat("verification", "funnel", "2026-02")
    assert "rejected\tno reason given / tanpa alasan\t7" in ran.out
    assert "891 confirmed; 3,120 rejected, 2 forgotten; 7 rejected without a reason" in ran.words
    assert tepat("verification", "funnel", "none").status == 2


def test_batches_visits_and_objections_are_listed(api: Api, tepat: Tepat) -> None:
    batch = {**FUNNEL, "listed_on": "2026-01-02", "first_visit": None, "last_visit": None}
    api.answers["GET /eligibility/v1/verifications/batches"] = {"items": [batch], "next": None}
    assert "2026-02\t4011\t4011\t891\t3120" in tepat("verification", "batches").out
    visit = {
        "agency": "dinsos", "verification_id": "V-1", "batch": "2026-02", "programme": None, "outcome": "rejected",
        "reason": "sudah\x1b[31m mampu", "verified_on": "2026-02-01", "person": "0f0e", "officer": "Bu Rini",
        "region": "35.75", "evidence": [{"kind": "photo", "sha256": "0f" * 32}],
    }  # fmt: skip
    api.answers["GET /eligibility/v1/verifications"] = {"items": [visit], "next": None}
    ran = tepat("verification", "list", "--batch", "2026-02", "--outcome", "rejected", "--officer", "Bu Rini")
    assert "sudah·[31m mampu" in ran.out
    blank, moved = {**visit, "reason": " "}, {**visit, "outcome": "moved", "reason": None}
    api.answers["GET /eligibility/v1/verifications"] = {"items": [blank, moved], "next": None}
    out = tepat("verification", "list", "--batch", "2026-02", "--outcome", "rejected", "--officer", "Bu Rini").out
    assert "rejected\tno reason given / tanpa alasan\t" in out
    assert "moved\t\t" in out
    asked = {**api.asked[-1].url.params}
    assert {"batch": "2026-02", "outcome": "rejected", "officer": "Bu Rini"}.items() <= asked.items()
    objection = {
        "agency": "dinsos", "objection_id": "S-1", "programme": "PKH", "person": "0f0e", "grounds": "wrongly_excluded",
        "region": "35.75", "filed_on": "2026-02-01", "state": "open", "village": "same", "days_left": 5,
    }  # fmt: skip
    api.answers["GET /eligibility/v1/objections"] = {"items": [objection], "next": None}
    assert "open\tsame\t5 of 14" in tepat("objections", "list", "--state", "open").out
    assert api.asked[-1].url.params["state"] == "open"
    early = {**{name: told for name, told in objection.items() if name != "days_left"}, "state": "not_filed_yet"}
    api.answers["GET /eligibility/v1/objections"] = {"items": [early], "next": None}
    assert "not_filed_yet\tsame\tnot filed yet" in tepat("objections", "list").out


def test_a_round_is_made_shown_and_listed(api: Api, tepat: Tepat) -> None:
    made = {
        "round": "2026-W10", "number": 1, "programme": "SB", "region": "33.74.01.1001", "places": 100, "ranked": 650,
        "reached": 100, "rank_by": "left_out", "policy_version": "1", "made_at": "2026-03-01", "made_by": "rini",
    }  # fmt: skip
    api.answers["POST /eligibility/v1/rankings"] = made
    ran = tepat("ranking", "make", "2026-W10", "--programme", "SB", "--region", "33.74.01.1001", "--places", "100")
    assert "650 ranked for SB in 33.74.01.1001, 100 reached" in ran.words
    assert orjson.loads(api.asked[-1].content) == {
        "round": "2026-W10", "programme": "SB", "region": "33.74.01.1001", "places": 100,
    }  # fmt: skip
    each = {
        "rank": 101, "subject": "0f0e", "reached": False, "score": 2.0, "left_out": 0, "facts": {"left_out": 0},
        "missing": [], "why": {"id": "urutan ke-101 dari 650", "en": "101st of 650; places: 100"},
    }  # fmt: skip
    api.answers["GET /eligibility/v1/rankings/2026-W10"] = {**made, "items": [each], "next": None}
    assert "101\t0f0e\t2.0\tno\t101st of 650; places: 100\tleft_out=0" in tepat(
        "ranking", "show", "2026-W10", "--left-out"
    ).out  # fmt: skip
    assert api.asked[-1].url.params["reached"] == "false"
    api.answers["GET /eligibility/v1/rankings"] = {"items": [made], "next": None}
    assert "2026-W10\tSB" in tepat("ranking", "list").out


HOME: dict[str, Any] = {
    "household": "11111111-0000-0000-0000-000000000001",
    "stands_for": "11111111-0000-0000-0000-000000000002",
    "cards": ["11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"],
    "members": [
        {
            "nik": "337401…0001", "person": "p-1", "stands_for": "p-1",
            "memberships": [{"agency": "dinsos", "since": "2020-01-01"}],
        }
    ],
    "ppks": ["lanjut_usia_terlantar"],
    "payouts": [
        {
            "agency": "dinsos", "payout_id": "A\x1b[31m", "person": "p-1", "programme": "PKH", "amount": 750_000,
            "covers": {"from": "2026-01-01", "to": "2026-03-31"}, "state": "disbursed", "region": "33.74.01.1001",
        }
    ],
    "reports": [],
    "institutions": [],
}  # fmt: skip


def test_an_export_says_what_was_not_searched(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    person = "11111111-0000-0000-0000-000000000009"
    told: dict[str, Any] = {"held": {"persons": [{"person": person}], "facts": []}, "seen": []}
    sealed = {"records": 3, "searched": False, "kept_until": "2026-06-01T00:00:00Z"}
    for service in ("registry", "eligibility", "distribution", "notifications"):
        of = sealed if service == "distribution" else {"records": 0}
        api.answers[f"POST /{service}/v1/subjects/held"] = told | {"service": service, "quarantine": of}
    ran = tepat("person", "export", person, "--purpose", "asked for by the person", "--out", tmp_path / "all.json")
    assert ran.status == 0
    assert ran.words.count("not searched") == 1
    assert "not searched: 3 records in quarantine at distribution, the last kept until 2026-06-01" in ran.words
    assert orjson.loads((tmp_path / "all.json").read_bytes())["services"][2]["quarantine"] == sealed


def test_who_saw_whom_is_told_of_all_services_in_one(api: Api, tepat: Tepat) -> None:
    person = "11111111-0000-0000-0000-000000000009"

    def seen(service: str, *at: str) -> dict[str, Any]:
        of = {"who": "rini", "name": "Bu Rini", "what": "person", "of": person, "persons": [person], "purpose": "visit"}
        return {"items": [{"service": service, "id": n, "at": each, **of} for n, each in enumerate(at)], "next": None}

    for service in ("eligibility", "notifications"):
        api.answers[f"GET /{service}/v1/disclosures"] = seen(service)
    api.answers["GET /registry/v1/disclosures"] = seen("registry", "2026-03-03T00:00:00.5Z", "2026-03-01T00:00:00Z")
    api.answers["GET /distribution/v1/disclosures"] = seen("distribution", "2026-03-03T00:00:00Z")
    asked = ("disclosures", "list", "--by", "rini", "--from", "2026-03-01", "--to", "2026-03-31", "--person", person)
    ran = tepat(*asked, "--json")
    assert [each["service"] for each in objects(ran.out)] == ["registry", "distribution", "registry"]
    wanted = {"limit": "500", "by": "rini", "from": "2026-03-01", "to": "2026-03-31", "person": person}
    assert [{**each.url.params} for each in api.asked] == [wanted] * 4
    lines = tepat(*asked, "--limit", "2").out.splitlines()
    assert lines[1] == f"2026-03-03T00:00:00.5Z\trini\tBu Rini\tvisit\tregistry\tperson\t{person}\t{person}"
    assert len(lines) == 3
    api.asked.clear()
    ran = tepat("disclosures", "list", "--from", "2026-12-01", "--to", "2026-01-01")
    assert (ran.status, ran.out, api.asked) == (2, "", [])
    assert "the period ends before it begins: 2026-12-01 – 2026-01-01 / masa berakhir" in ran.words
    api.answers["GET /notifications/v1/disclosures"] = httpx.ConnectError("gone")
    assert tepat(*asked).status == 3  # what is not whole is not told


FOUND: dict[str, Any] = {
    "finding_id": "22222222-0000-0000-0000-000000000001", "rule": "over_cap", "revision": 1, "live": True,
    "person": None, "household": HOME["stands_for"], "programme": "BPNT", "region": "33.74.01.1001",
    "payouts": [{"agency": "himbara", "payout_id": "B\x1b[31m"}], "policy_version": "2026-01",
    "evidence": {"paid": 800_000, "cap": 600_000, "period": "month", "areas": ["33.74", "35.75"]},
    "announced_at": "2026-03-01T09:00:00Z",
}  # fmt: skip


def test_findings_are_listed_with_their_evidence(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/findings"] = {"items": [FOUND], "next": None}
    ran = tepat("findings", "list", "--rule", "over_cap", "--programme", "BPNT", "--all")
    assert "paid=Rp 800.000  cap=Rp 600.000  period=month  areas=33.74,35.75" in ran.out
    assert "\x1b" not in ran.out
    assert dict(api.asked[-1].url.params) | {"rule": "over_cap", "programme": "BPNT", "all": "true"} == dict(
        api.asked[-1].url.params
    )
    assert objects(tepat("findings", "list", "--json").out) == [FOUND]
    api.answers["GET /distribution/v1/findings"] = {"items": [], "next": None}
    assert "nothing is found" in tepat("findings", "list").words


def test_a_finding_is_shown_with_its_payouts(api: Api, tepat: Tepat) -> None:
    payout = HOME["payouts"][0] | {"tranche": "T1"}
    api.answers[f"GET /distribution/v1/findings/{FOUND['finding_id']}"] = FOUND | {"payouts": [payout]}
    ran = tepat("findings", "show", FOUND["finding_id"])
    assert "rule           over_cap" in ran.out
    assert "  cap          Rp 600.000" in ran.out
    assert "Rp 750.000\tT1" in ran.out
    (told,) = objects(tepat("findings", "show", FOUND["finding_id"], "--json").out)
    assert told["payouts"] == [payout]
    assert tepat("findings", "show", "x").status == 2


def test_of_a_finding_that_lists_no_payouts_their_number_is_told(api: Api, tepat: Tepat) -> None:
    large = FOUND | {
        "rule": "group_too_large", "payouts": [], "live_payouts": 1_100, "evidence": {"live_payouts_over": 1_000},
    }  # fmt: skip
    api.answers[f"GET /distribution/v1/findings/{FOUND['finding_id']}"] = large
    ran = tepat("findings", "show", FOUND["finding_id"])
    assert "1,100 live ones, too many to list or to look through for overlaps: more than 1,000" in ran.words
    assert "1,100 pembayaran berlaku, terlalu banyak" in ran.words


def test_a_household_is_put_together_and_what_cannot_be_asked_is_said(api: Api, tepat: Tepat) -> None:
    api.answers["GET /registry/v1/households/11111111-0000-0000-0000-000000000001"] = HOME
    api.answers["GET /distribution/v1/overlaps"] = {"items": [OVERLAP], "next": None}
    api.answers["GET /distribution/v1/findings"] = {"items": [FOUND], "next": None}
    api.answers["GET /eligibility/v1/decisions"] = httpx.ConnectError("away")
    (told,) = objects(tepat("household", "show", HOME["household"], "--json").out)
    assert (told["payouts"], len(told["overlaps"])) == (HOME["payouts"], 1)
    assert told["findings"] == [FOUND], "the household's, and once what its people's are too"
    assert "decisions" not in told
    assert [gap["lacks"] for gap in told["gaps"]] == ["decisions"]
    assert api.asked[1].url.params["household"] == HOME["stands_for"]
    ran = tepat("household", "show", HOME["household"])
    assert ran.status == 0
    assert "eligibility does not answer" in ran.err
    assert "Rp 750.000" in ran.out
    assert "\x1b" not in ran.out
    assert "as of today" not in ran.out
    ran = tepat("household", "show", HOME["household"], "--on", "2026-01-01")
    assert "on 2026-01-01 its people, and payouts for periods begun by then; all else is as of today" in ran.out


def test_decisions_of_a_household_say_of_whom_they_are(api: Api, tepat: Tepat) -> None:
    home, more = HOME["household"], {"as_of": "2026-03-01", "policy_version": "v1"}
    named = {"person": "p-2", "stands_for": "p-3", "nik": "x", "names": ["Budi"], "memberships": []}
    api.answers[f"GET /registry/v1/households/{home}"] = HOME | {"members": [*HOME["members"], named]}
    api.answers["GET /distribution/v1/overlaps"] = {"items": [], "next": None}
    api.answers["GET /distribution/v1/findings"] = {"items": [], "next": None}

    def decided(request: httpx.Request) -> Any:
        ((unit, whose),) = ((name, request.url.params[name]) for name in ("household", "person")
                            if name in request.url.params)  # fmt: skip
        items = [{"programme": "PKH", "unit": unit, unit: whose, "decision": "eligible", **more}]
        return {"items": items, "next": None}

    api.answers["GET /eligibility/v1/decisions"] = decided
    lines = tepat("household", "show", home).out.splitlines()
    of = [line.split("\t")[2] for line in lines if line.startswith("PKH\teligible")]
    assert of == ["household", "p-1", '["Budi"]'], "as the members' table calls them"


def test_a_household_is_found_by_the_nik_of_somebody_in_it(api: Api, tepat: Tepat) -> None:
    api.answers["POST /registry/v1/lookup"] = lambda request: (
        {"kind": "person", "pseudonym": "p-1"} if b'"nik"' in request.content else None
    )
    api.answers["GET /registry/v1/persons/p-1"] = {"on": {"household": HOME["household"]}, "alone": "x"}
    api.answers[f"GET /registry/v1/households/{HOME['household']}"] = HOME
    api.answers["GET /distribution/v1/overlaps"] = {"items": [], "next": None}
    api.answers["GET /distribution/v1/findings"] = {"items": [], "next": None}
    api.answers["GET /eligibility/v1/decisions"] = {"items": [], "next": None}
    (told,) = objects(tepat("household", "show", "3374010101900001", "--on", "2026-03-03", "--json").out)
    assert told["gaps"] == []
    assert [request.url.params.get("on") for request in api.asked[2:4]] == ["2026-03-03"] * 2


def test_the_unserved_are_listed_and_counted(api: Api, tepat: Tepat) -> None:
    missed = {
        "household": "h", "region": "33.74.01.1001", "decile": None, "persons": ["p"], "since": "2026-01-01",
        "days": 40, "never": True,
    }  # fmt: skip
    api.answers["GET /registry/v1/unserved"] = {"items": [missed], "next": None}
    assert "never served" in tepat("unserved", "list", "33.74", "--days", 30, "--except", "A", "--except", "B").out
    asked = api.asked[0].url.params
    assert (asked["days"], asked.get_list("except"), asked["region"]) == ("30", ["A", "B"], "33.74")
    api.answers["GET /registry/v1/unserved/count"] = {
        "on": "2026-02-01", "needy": 3, "households": 2, "persons": 5, "never": 1,
        "items": [{"region": "33.74.01", "name": "X", "needy": 3, "households": 2, "persons": 5, "never": 1}],
    }  # fmt: skip
    ran = tepat("unserved", "count", "33.74", "--by", "kecamatan")
    assert "2 of 3 needy households receive nothing on 2026-02-01, 1 never did; 5 persons" in ran.words


# --- clearances

HELD_BACK = {
    "agency": "dinsos", "payout_id": "A", "revision": 0, "decision": "hold", "reasons": ["exclusive: x with dpmd/C"],
    "overlaps": ["0f0e"], "programme": "PKH", "amount": 750_000, "region": "33.74.01.1001",
}  # fmt: skip


def test_clearances_say_what_must_not_leave_and_why(api: Api, tepat: Tepat) -> None:
    api.answers["GET /distribution/v1/clearances"] = {"items": [HELD_BACK], "next": None}
    told = tepat("clearances", "--decision", "hold", "--agency", "dinsos")
    assert (told.status, "exclusive: x with dpmd/C" in told.out, "Rp 750.000" in told.out) == (0, True, True)
    assert dict(api.asked[-1].url.params)["decision"] == "hold"
    assert objects(tepat("clearances", "--json").out) == [HELD_BACK]


LIST = """payout_id,programme,from,to,nik,amount,region
A,PKH,2026-01-01,2026-03-31,3374014101900001,750000,33.74.01.1001
B,PKH,2026-01-01,2026-03-31,3374014101900002,oops,33.74.01.1001
C,PKH,2026-01-01,2026-03-31,3374014101900003,750000,33.74.01.1001
D,PKH,2026-01-01,2026-03-31,3374014101900004,750000,33.74.01.1001
"""
OVERLAPS_WITH = {
    "rule": "x", "verdict": "exclusive", "agency": "dpmd", "payout_id": "Z", "programme": "BLT-DD", "state": "planned",
}  # fmt: skip


def test_a_checked_list_is_given_back_with_an_answer_for_each_line(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.extend(request.read().splitlines())
        told = [
            {"n": 1, "decision": "clear", "reasons": [], "overlaps": []},
            {"n": 2, "decision": "hold", "reasons": ["exclusive: x with dpmd/Z"], "overlaps": [OVERLAPS_WITH]},
            {"n": 3, "rejected": "not_permitted", "pointer": "/data/programme", "message": "is not its own"},
            {"result": {}},
        ]
        return httpx.Response(200, content=b"\n".join(map(orjson.dumps, told)))

    api.answers["POST /distribution/v1/checks"] = answer
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    told = tepat("check", file, "--agency", "dinsos")
    assert told.status == 1
    assert [orjson.loads(line)["data"]["payout_id"] for line in asked] == ["A", "C", "D"]
    lines = (tmp_path / "list.csv.checked.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["2", "clear", "aman"], ["3", "rejected", "ditolak"], ["4", "hold", "tahan"], ["5", "rejected", "ditolak"],
    ]  # fmt: skip
    assert "dpmd/Z (BLT-DD, planned, exclusive)" in lines[3]
    assert "exclusive: x with dpmd/Z / dilarang bersama: x dengan dpmd/Z" in lines[3]
    told = tepat("check", file, "--agency", "dinsos", "--json")
    assert [each.get("decision", each.get("rejected")) for each in objects(told.out)] == [
        "clear", "schema", "hold", "not_permitted",
    ]  # fmt: skip


def test_a_list_without_lines_is_not_asked_about(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST.splitlines(keepends=True)[0])
    told = tepat("check", file, "--agency", "dinsos")
    assert (told.status, "list.csv has no lines to check" in told.words) == (2, True)
    assert (api.asked, (tmp_path / "list.csv.checked.csv").exists()) == ([], False)


@pytest.mark.parametrize(
    ("last", "words"), [({"failed": "another payment list is being worked out"}, "another"), ({"result": {}}, "")]
)
def test_a_check_that_is_cut_off_says_so(
    api: Api, tepat: Tepat, tmp_path: Path, last: dict[str, Any], words: str
) -> None:
    api.answers["POST /distribution/v1/checks"] = httpx.Response(200, content=orjson.dumps(last))
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    told = tepat("check", file, "--agency", "dinsos")
    assert told.status == 3
    assert words in told.err


def checked(*told: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, content=b"\n".join(map(orjson.dumps, [*told, {"result": {}}])))


CLEAR: dict[str, Any] = {"decision": "clear", "reasons": [], "overlaps": []}


def test_a_check_names_the_column_and_the_lines_of_the_file(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "Nomor Bayar,Program,Mulai,Sampai,NIK,Jumlah,Wilayah\n"
        "A,PKH,,2026-03-31,3374014101900001,750000,33.74.01.1001\n"
        "B,PKH,2026-01-01,2026-03-31,3374014101900001,oops,33.74.01.1001\n"
        "C,PKH,2026-01-01,2026-03-31,3374014101900001,750000,33.74.01.1001\n"
        "C,PKH,2026-01-01,2026-03-31,3374014101900002,750000,33.74.01.1001\n"
        "D,XX,2026-01-01,2026-03-31,3374014101900003,750000,33.74.01.1001\n"
        "E,PKH,2026-01-01,2026-03-31,3374014101900004,750000,33.74.01.1001\n"
    )
    held = "planned: the ledger holds revision 0 with other content: raise --revision or the column revision"
    api.answers["POST /distribution/v1/checks"] = lambda request: request.read() and checked(
        {"n": 1, "decision": "hold", "overlaps": [], "same_id_as": 2,
         "reasons": ["repeated: this id stands in line 2 too"]},
        CLEAR,
        {"n": 3, "rejected": "programme_unknown", "pointer": "/data/programme", "message": "unknown"},
        {"n": 4, "decision": "hold", "overlaps": [], "reasons": [held]},
    )  # fmt: skip
    assert tepat("check", file, "--agency", "dinsos").status == 1
    with (tmp_path / "list.csv.checked.csv").open(newline="") as answers:
        rows = list(csv.DictReader(answers))
    assert [row["column"] for row in rows] == ["Mulai", "Jumlah", "", "", "Program", ""]
    assert rows[2]["why"] == "repeated: this id stands in line 5 too / berulang: id ini juga ada di baris 5"
    assert rows[5]["why"].removeprefix(f"{held} / ") == (
        "sudah direncanakan: yang berlaku adalah revisi 0 dengan isi lain: naikkan --revision atau kolom revision"
    )
    told = objects(tepat("check", file, "--agency", "dinsos", "--json").out)
    assert [(each.get("pointer"), each.get("column")) for each in told] == [
        ("/data/covers/from", "Mulai"), ("/data/benefit/amount", "Jumlah"), (None, None), (None, None),
        ("/data/programme", "Program"), (None, None),
    ]  # fmt: skip
    assert told[2]["same_id_as"] == 5


def test_a_check_counts_the_lines_that_are_not_looked_through(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "Nomor Bayar,Program,Mulai,Sampai,NIK,Jumlah,Wilayah\n"
        "A,PKH,2026-01-01,2026-03-31,3374014101900001,750000,33.74.01.1001\n"
        "B,PKH,2026-01-01,2026-03-31,3374014101900002,750000,33.74.01.1001\n"
    )
    too_many = "too_many: the household has more than 1,000 payouts, which are not looked through: see finding f-1"
    api.answers["POST /distribution/v1/checks"] = lambda request: (
        request.read() and checked(CLEAR | {"n": 1, "reasons": [too_many]}, CLEAR | {"n": 2})
    )
    told = tepat("check", file, "--agency", "dinsos")
    assert (told.status, "2 clear / aman" in told.words) == (0, True)
    assert "of which no overlap is looked for: 1;" in told.words
    assert "yang tumpang tindihnya tidak dicari: 1;" in told.words
    with (tmp_path / "list.csv.checked.csv").open(newline="") as answers:
        first, second = csv.DictReader(answers)
    assert second["why"] == ""
    assert first["why"] == (
        f"{too_many} / terlalu banyak: keluarga ini punya lebih dari 1,000 pembayaran, "
        "yang tumpang tindihnya tidak diperiksa: lihat temuan f-1"
    )


@pytest.mark.parametrize(
    ("reason", "in_indonesian"),
    [
        ("ends: takes a payment back, nothing to clear",
         "mengakhiri: pembayaran ditarik kembali, tidak perlu persetujuan"),
        ("ends: it was taken back before, nothing changes",
         "mengakhiri: sudah ditarik kembali, tidak ada yang berubah"),
        ("ends: no payment of this id is known: check the id",
         "mengakhiri: pembayaran dengan id ini belum dikenal: periksa id-nya"),
        ("planned: the ledger holds revision 1 of it: raise --revision or the column revision",
         "sudah direncanakan: yang berlaku adalah revisi 1: naikkan --revision atau kolom revision"),
    ],
)  # fmt: skip
def test_a_row_that_takes_a_payment_back_is_answered_in_both_languages(
    api: Api, tepat: Tepat, tmp_path: Path, reason: str, in_indonesian: str
) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.extend(request.read().splitlines())
        return checked({"n": 1, "decision": "ends", "reasons": [reason], "overlaps": []})

    api.answers["POST /distribution/v1/checks"] = answer
    file = tmp_path / "list.csv"
    file.write_text("Nomor Bayar,Status,Alasan\nA,dibatalkan,rekening ditutup\n")
    told = tepat("check", file, "--agency", "dinsos")
    assert (told.status, "1 ends / mengakhiri" in told.words) == (0, True)
    assert [orjson.loads(line)["type"] for line in asked] == ["tepat.payout.cancelled.v1"]
    with (tmp_path / "list.csv.checked.csv").open(newline="") as answers:
        (row,) = csv.DictReader(answers)
    assert (row["answer"], row["jawaban"], row["why"]) == ("ends", "mengakhiri", f"{reason} / {in_indonesian}")


def test_a_check_asks_of_the_revision_that_will_be_published(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.extend(request.read().splitlines())
        return checked(CLEAR)

    api.answers["POST /distribution/v1/checks"] = answer
    file = tmp_path / "list.csv"
    file.write_text("".join(LIST.splitlines(keepends=True)[:2]))
    assert tepat("check", file, "--agency", "dinsos", "--revision", 3).status == 0
    assert [orjson.loads(line)["data"]["revision"] for line in asked] == [3]


def test_a_check_never_costs_the_list_or_what_was_answered_before(api: Api, tepat: Tepat, tmp_path: Path) -> None:
    file, other, before = tmp_path / "list.csv", tmp_path / "same.csv", tmp_path / "before.csv"
    file.write_text(LIST)
    other.symlink_to(file)
    before.write_text("before")
    for options, words in (
        (["-o", file], "is the list itself"), (["-o", other], "is the list itself"),
        (["-o", tmp_path / "out.xlsx"], "name it out.csv"), (["-o", before, "--json"], "take one"),
        (["-o", tmp_path / "none" / "out.csv"], "can't be written"),
    ):  # fmt: skip
        told = tepat("check", file, "--agency", "dinsos", *options)
        assert (told.status, words in told.words) == (2, True), told
    api.answers["POST /distribution/v1/checks"] = checked(CLEAR)
    assert tepat("check", file, "--agency", "dinsos", "-o", before).status == 3
    assert (file.read_text(), before.read_text()) == (LIST, "before")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["before.csv", "list.csv", "same.csv"]


# --- notices

TRIED = "2026-03-02T03:01:00Z"
NOTICE: dict[str, Any] = {
    "delivery_id": "019c8f1e-6f3a-7c55-9d0b-0c4f2f1b7a10", "agency": "dinsos", "channel": "whatsapp",
    "channels": ["email", "whatsapp"], "kind": "overlaps", "state": "failed", "causes": 2, "attempts": 7,
    "reason": "the gateway refused it: 400 131026", "due_at": None, "sending_at": TRIED,
    "sent_at": None,
}  # fmt: skip


def test_what_was_not_handed_over_is_not_shown_as_sent(api: Api, tepat: Tepat) -> None:
    due = "2026-03-02T03:11:00Z"
    told = [
        NOTICE, NOTICE | {"due_at": due}, NOTICE | {"state": "doubtful"}, NOTICE | {"state": "doubtful", "due_at": due},
        NOTICE | {"state": "sent", "sent_at": TRIED}, NOTICE | {"state": "queued", "sending_at": None, "due_at": due},
    ]  # fmt: skip
    api.answers["GET /notifications/v1/notices"] = {"items": told, "next": None}
    headings, *lines = (line.split("\t") for line in tepat("notices", "list").out.splitlines())
    rows = [dict(zip(headings, line, strict=True)) for line in lines]
    assert [[row[name] for name in ("state", "last try", "next try", "sent")] for row in rows] == [
        ["failed, given up", TRIED, "", ""], ["failed", TRIED, due, ""], ["doubtful", TRIED, "", "doubt"],
        ["doubtful", TRIED, due, "doubt"], ["sent", TRIED, "", TRIED], ["queued", "", due, ""],
    ]  # fmt: skip


def test_notices_are_listed_by_state_and_channel(api: Api, tepat: Tepat) -> None:
    api.answers["GET /notifications/v1/notices"] = {"items": [NOTICE], "next": None}
    ran = tepat("notices", "list", "--state", "failed", "--channel", "whatsapp")
    assert ran.status == 0
    assert "given up" in ran.words
    assert "131026" in ran.words
    assert dict(api.asked[0].url.params) == {"limit": "500", "state": "failed", "channel": "whatsapp"}
    assert objects(tepat("notices", "list", "--json").out) == [NOTICE]


def test_a_notice_is_sent_again(api: Api, tepat: Tepat) -> None:
    notice = NOTICE["delivery_id"]
    path = f"POST /notifications/v1/notices/{notice}/again"
    api.answers[path] = {"delivery_id": notice, "was": "failed"}
    ran = tepat("notices", "again", notice, "--reason", "the number is right now")
    assert (ran.status, f"{notice} was failed and is queued" in ran.words) == (0, True)
    assert orjson.loads(api.asked[0].content) == {"reason": "the number is right now"}
    api.answers[path] = {"delivery_id": "other", "was": "doubtful"}
    assert "goes with other" in tepat("notices", "again", notice).words
    api.answers[path] = httpx.Response(409, json={"detail": "the notice was sent: what was told is not told again"})
    refused = tepat("notices", "again", notice)
    assert (refused.status, "not told again" in refused.words) == (2, True)
    assert tepat("notices", "again", "unknown").status == 2


@pytest.mark.parametrize(
    ("command", "path", "asked"),
    [
        (("case", "list", "--region", "33.74", "--assigned-to"), "distribution/v1/cases", "assigned_to"),
        (("fund", "list", "--region", "33.74", "--purpose"), "distribution/v1/funds", "purpose"),
        (("institutions", "support", "list", "--institution"), "distribution/v1/institutions/support", "institution"),
        (("verification", "list", "--outcome", "rejected", "--officer"), "eligibility/v1/verifications", "officer"),
    ],
)
def test_an_empty_listing_says_where_a_name_stands_nowhere(
    api: Api, tepat: Tepat, command: tuple[str, ...], path: str, asked: str
) -> None:
    def found(request: httpx.Request) -> httpx.Response:
        alone = set(request.url.params) <= {asked, "limit"}
        items = [{}] if alone and request.url.params[asked] == "rini" else []
        return httpx.Response(200, json={"items": items, "next": None})

    api.answers[f"GET /{path}"] = found
    words = f"nothing at all is there by {command[-1]} ‘rinni’: see that it is spelt right"
    assert words in tepat(*command, "rinni").words
    if command[1] == "list":  # asked by more than the name
        assert "nothing at all" not in tepat(*command, "rini").words
