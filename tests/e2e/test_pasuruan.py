"""Kota Pasuruan, 2022–2023: 4,011 listed as extremely poor, 891 confirmed by officers – by the command and the topics.

The agency sends its three files as it has them: the people, the list of whom to visit, and what officers found. Capital
is due once to the verified with a business, and paid with receipts, to joint groups too; a second one is found. An
objection is upheld by a later visit, and 100 packages go to those who come first among the confirmed.
"""

import asyncio
import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid, read_secret
from tepat_contracts.policy import load
from tepat_demo import cases
from tepat_demo.cases import BATCH, CONFIRMED, LISTED, PROGRAMME, VERIFIER, Pasuruan
from tepat_demo.district import POLICY

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FOOD, HOUSES = "PANGAN", "RTLH"
CAPITAL = 2_500_000
DECISIONS, FINDINGS = "eligibility.decisions.v1", "distribution.findings.v1"


def policy() -> dict[str, Any]:
    """The demo's programme of capital, food for whoever is verified (100 packages a round, the poorest first), and the
    repair of houses that nobody should live in: one of each strategy.
    """
    told = load(POLICY.read_text()).document()
    capital = next(each for each in told["programmes"] if each["code"] == PROGRAMME)
    food = {
        "code": FOOD, "name": {"id": "Bantuan pangan", "en": "Food aid"}, "unit": "household", "benefit": "food",
        "criteria": 'household.regions.exists(r, r.startsWith("35.75.")) && household.decile == 1',
        "needs_verification": True, "rank_by": "household.elderly * 10 + left_out", "quota": 100,
        "strategy": "lower_burdens",
    }  # fmt: skip
    houses = {
        "code": HOUSES, "name": {"id": "Rumah tidak layak huni", "en": "House repair"}, "unit": "household",
        "benefit": "goods", "strategy": "shrink_pockets",
    }  # fmt: skip
    programmes = [capital, food, houses]
    own = [each["code"] for each in programmes]
    agency = {"id": VERIFIER, "name": "Dinsos Kota Pasuruan", "trust_rank": 1, "programmes": own}
    return {"version": "pasuruan-1", "agencies": [agency], "programmes": programmes, "overlap_rules": []}


def office_file(path: Path, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """A file as an office has it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([headings, *rows])
    return path


@pytest.fixture(scope="module")
def pasuruan(system: Running, tmp_path_factory: pytest.TempPathFactory) -> Pasuruan:
    """The three files, sent and answered."""
    folder, made = tmp_path_factory.mktemp("pasuruan"), Pasuruan(1)
    (folder / "policy.json").write_text(json.dumps(policy()))
    system.tepat("policy", "apply", folder / "policy.json")
    people = folder / "people.jsonl"
    events = [value for topic, _, value in made if topic == f"agency.{VERIFIER}.beneficiaries.v1"]
    people.write_bytes(b"\n".join(events))
    listed = office_file(
        folder / "list.csv",
        ["Gelombang", "NIK", "Kode Wilayah", "Tanggal Daftar"],
        ([BATCH, each.nik, each.region, "03/10/2022"] for each in made.people),
    )
    visits = office_file(
        folder / "visits.csv",
        ["ID Verifikasi", "Gelombang", "NIK", "Hasil", "Alasan", "Tanggal Verifikasi", "Petugas", "Kode Wilayah"],
        (
            [f"PAS-{number:05d}", BATCH, each.nik, "layak" if each.confirmed else "tidak layak", each.reason or "",
             each.visited_on.strftime("%d/%m/%Y"), each.officer, each.region]
            for number, each in enumerate(made.people)
        ),
    )  # fmt: skip
    for file in (visits, people, listed, listed):  # in no particular order, and one of them twice
        outcome = json.loads(system.tepat("publish", file, "--agency", VERIFIER, "--wait", "--json"))
        assert (outcome["sent"], outcome["rejected"]) == (LISTED, 0)
    return made


def household(system: Running, kk: str) -> str:
    """The pseudonym of a card."""
    return str(as_uuid(Pseudonyms(read_secret(system.data / "secrets", "main")).kk(kk)))


async def decided(system: Running, programme: str, eligible: int) -> dict[str, dict[str, Any]]:
    """What stands decided, once so many are eligible."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(300):
        for record in await system.read([DECISIONS]):
            data = json.loads(record.value or b"{}")["data"]
            if data["programme"] == programme and data["revision"] >= found.get(data["household"], data)["revision"]:
                found[data["household"]] = data
        if sum(each["decision"] == "eligible" for each in found.values()) == eligible:
            break
    return found


def test_the_funnel(system: Running, pasuruan: Pasuruan) -> None:
    (funnel,) = system.listed("verification", "funnel", BATCH)
    assert (
        (funnel["listed"], funnel["visited"], funnel["confirmed"]) == (LISTED, LISTED, CONFIRMED) == (4_011, 4_011, 891)
    )
    assert funnel["rejected"] == 3_120 == sum(each["persons"] for each in funnel["reasons"])
    assert {each["reason"]: each["persons"] for each in funnel["reasons"]} == pasuruan.reasons
    assert {each["officer"]: each["visited"] for each in funnel["officers"]} == pasuruan.officers
    assert sum(each["rejected"] for each in funnel["officers"]) == 3_120
    assert sum(each["listed"] for each in funnel["regions"]) == LISTED
    shown = system.tepat("verification", "funnel", BATCH)
    print(shown)
    assert "sudah mampu" in shown
    (batch,) = [each for each in system.listed("verification", "batches") if each["batch"] == BATCH]
    assert (batch["listed"], batch["confirmed"], batch["rejected"]) == (4_011, 891, 3_120)
    rejected = system.listed("verification", "list", "--batch", BATCH, "--outcome", "rejected")
    assert len(rejected) == 3_120
    assert all(each["reason"] and each["officer"] for each in rejected)


async def test_capital_is_due_once_to_the_verified_with_a_business(system: Running, pasuruan: Pasuruan) -> None:
    found = await decided(system, PROGRAMME, pasuruan.capital)
    due = {household(system, each.kk) for each in pasuruan.people if each.confirmed and each.runs_a_business}
    assert {subject for subject, told in found.items() if told["decision"] == "eligible"} == due
    assert {json.dumps(told.get("due")) for subject, told in found.items() if subject in due} == {
        '{"amount": 2500000, "period": "once"}'
    }
    words = Counter(told["decision"] for told in found.values() if told.get("region", "").startswith("35.75"))
    business = sum(each.runs_a_business for each in pasuruan.people)
    assert words == {
        "eligible": pasuruan.capital, "needs_verification": business - pasuruan.capital,
        "ineligible": LISTED - business,
    }  # fmt: skip
    assert not any("due" in told for told in found.values() if told["decision"] != "eligible")
    text = json.dumps(found)
    assert pasuruan.people[0].nik not in text
    assert not any(reason in text for reason in cases.REASONS)


async def test_capital_is_paid_once_with_receipts_to_groups_and_told_by_strategy(
    system: Running, pasuruan: Pasuruan, tmp_path: Path
) -> None:
    await decided(system, PROGRAMME, pasuruan.capital)
    due = [each for each in pasuruan.people if each.confirmed and each.runs_a_business]
    unverified = next(each for each in pasuruan.people if not each.confirmed and each.runs_a_business)
    confirmed = [each for each in pasuruan.people if each.confirmed]
    headings = ["payout_id", "status", "programme", "from", "to", "nik", "kk", "benefit", "amount", "region"]
    february, june = ("2023-02-01", "2023-02-28"), ("2023-06-01", "2023-06-30")

    def row(id_: str, who: Any, programme: str, days: tuple[str, str], kind: str, amount: int) -> list[str]:
        return [id_, "disalurkan", programme, *days, who.nik, who.kk, kind, str(amount), who.region]

    capital = [row(f"MODAL-{n}", each, PROGRAMME, february, "modal", CAPITAL) for n, each in enumerate(due)]
    again = row("MODAL-LAGI", due[0], PROGRAMME, june, "modal", CAPITAL)
    wrong = row("MODAL-SALAH", unverified, PROGRAMME, february, "modal", CAPITAL)
    food = [row(f"PANGAN-{n}", each, FOOD, february, "pangan", 200_000) for n, each in enumerate(confirmed[:100])]
    houses = [row(f"RTLH-{n}", each, HOUSES, february, "barang", 17_500_000) for n, each in enumerate(confirmed[:3])]
    paid = office_file(tmp_path / "paid.csv", headings, [*capital, again, wrong, *food, *houses])
    system.tepat("publish", paid, "--agency", VERIFIER, "--wait")

    twice = office_file(tmp_path / "twice.csv", headings, [["MODAL-DUA", *capital[0][1:]]])
    (line,) = map(json.loads, system.tepat("check", twice, "--agency", VERIFIER, "--json").splitlines())
    assert (line["decision"], line["reasons"]) == (
        "hold", [f"exclusive: same-programme-same-person with {VERIFIER}/MODAL-0"],
    )  # fmt: skip
    expected = {"over_cap": ["MODAL-0", "MODAL-LAGI"], "paid_unverified": ["MODAL-SALAH"]}
    for _ in range(300):
        told = [json.loads(record.value or b"{}")["data"] for record in await system.read([FINDINGS])]
        if expected.keys() <= {each["rule"] for each in told if each.get("programme") == PROGRAMME}:
            break
    listed = system.listed("findings", "list", "--programme", PROGRAMME)
    found = {each["rule"]: [of["payout_id"] for of in each["payouts"]] for each in listed}
    assert found == expected
    (over,) = [each["evidence"] for each in listed if each["rule"] == "over_cap"]
    assert (over["paid"], over["cap"]) == (2 * CAPITAL, CAPITAL)
    whats = {step["what"] for step in system.listed("trace", f"{VERIFIER}/MODAL-LAGI")}
    assert {"person recorded", "decision made", "payout disbursed", "finding raised"} <= whats

    receipt = tmp_path / "tanda-terima.jpg"
    receipt.write_bytes(b"a signed list of goods")
    system.tepat("capital", "receipt", f"{VERIFIER}/MODAL-0", "--receipt", receipt)
    where = ("--agency", VERIFIER, "--region", due[0].region)
    system.tepat("group", "form", "kube-mawar", "--title", "KUBE Mawar", *where)
    system.tepat("group", "add", "kube-mawar", due[0].nik)
    got = {each["payout_id"]: each for each in system.listed("capital", "list", "--region", "35.75", "--limit", "0")}
    assert len(got) == pasuruan.capital + 2
    assert [id_ for id_, each in got.items() if "receipt" in each] == ["MODAL-0"]
    assert {id_ for id_, each in got.items() if each.get("group") == "kube-mawar"} == {"MODAL-0", "MODAL-LAGI"}

    report = json.loads(system.tepat("report", "35.75", "--by", "strategy", "--json"))
    spent = {each["strategy"]: each["disbursed"] for each in report["items"]}
    assert spent == {
        "raise_incomes": {"number": pasuruan.capital + 2, "amount": (pasuruan.capital + 2) * CAPITAL},
        "lower_burdens": {"number": 100, "amount": 100 * 200_000},
        "shrink_pockets": {"number": 3, "amount": 3 * 17_500_000},
    }
    print(f"capital: {pasuruan.capital} families, Rp {pasuruan.capital * CAPITAL:,}; {found}; by strategy: {spent}")


async def test_an_objection_is_upheld_by_a_visit_and_lapses_without_one(
    system: Running, pasuruan: Pasuruan, tmp_path: Path
) -> None:
    today = datetime.now(ZoneInfo("Asia/Jakarta")).date()
    rejected = [each for each in pasuruan.people if not each.confirmed and each.runs_a_business]
    upheld, lapsed, waiting, stranger = rejected[:4]
    far = next(each.region for each in pasuruan.people if each.region != stranger.region)
    days = {"S-1": today - timedelta(20), "S-2": today - timedelta(20), "S-3": today - timedelta(2), "S-4": today}
    headings = [
        "ID Sanggahan", "NIK", "Program", "Alasan Sanggah", "Kode Wilayah", "Tanggal Sanggah", "Foto Rumah", "Lintang",
        "Bujur", "Penyanggah",
    ]  # fmt: skip
    rows = [
        [id_, who.nik, PROGRAMME, "seharusnya menerima", region, days[id_].strftime("%d/%m/%Y"), "1e" * 32, "-7,6453",
         "112,9075", "rt"]
        for id_, who, region in (
            ("S-1", upheld, upheld.region), ("S-2", lapsed, lapsed.region), ("S-3", waiting, waiting.region),
            ("S-4", stranger, far),
        )
    ]  # fmt: skip
    objections = office_file(tmp_path / "objections.csv", headings, rows)
    system.tepat("publish", objections, "--agency", VERIFIER, "--wait")
    without_photo = [*rows[0][:6], "", *rows[0][7:]]
    wrong = office_file(tmp_path / "wrong.csv", headings, [without_photo])
    system.tepat("publish", wrong, "--agency", VERIFIER, "--wait", status=1)

    def states() -> dict[str, str]:
        return {each["objection_id"]: each["state"] for each in system.listed("objections", "list")}

    async def until(expected: dict[str, str]) -> None:
        for _ in range(60):
            if (found := await asyncio.to_thread(states)) == expected:
                break
        assert found == expected

    await until({"S-1": "lapsed", "S-2": "lapsed", "S-3": "open", "S-4": "other_village"})
    (waits,) = system.listed("objections", "list", "--state", "open")
    assert (waits["days_left"], waits["village"]) in {(12, "same"), (11, "same")}  # it may be past midnight by now
    visit = office_file(
        tmp_path / "visit.csv",
        ["ID Verifikasi", "Gelombang", "NIK", "Hasil", "Tanggal Verifikasi", "Petugas", "Kode Wilayah"],
        [["PAS-S-1", "sanggah", upheld.nik, "layak", (days["S-1"] + timedelta(7)).strftime("%d/%m/%Y"), "TKSK",
          upheld.region]],
    )  # fmt: skip
    system.tepat("publish", visit, "--agency", VERIFIER, "--wait")  # told late, seen in time
    await until({"S-1": "upheld", "S-2": "lapsed", "S-3": "open", "S-4": "other_village"})
    found = await decided(system, PROGRAMME, pasuruan.capital + 1)
    assert found[household(system, upheld.kk)]["decision"] == "eligible"
    assert found[household(system, lapsed.kk)]["decision"] == "needs_verification"


async def test_a_hundred_packages_go_to_those_who_come_first(system: Running, pasuruan: Pasuruan) -> None:
    verified = CONFIRMED + 1  # with the one whose objection was upheld
    await decided(system, FOOD, verified)
    system.tepat("ranking", "make", "food-1", "--programme", FOOD, "--region", "35.75")
    first = system.listed("ranking", "show", "food-1", "--limit", "0")
    assert len(first) == len({each["subject"] for each in first}) == verified
    assert sum(each["reached"] for each in first) == 100
    assert first[100]["why"]["en"].startswith(f"101st of {verified}; places: 100")
    scores = [each["score"] for each in first]
    assert scores == sorted(scores, reverse=True)
    system.tepat("ranking", "make", "food-1", "--programme", FOOD, "--region", "35.75")
    assert system.listed("ranking", "show", "food-1", "--limit", "0") == first
    system.tepat("ranking", "make", "food-2", "--programme", FOOD, "--region", "35.75")
    second = system.listed("ranking", "show", "food-2", "--reached")
    assert not {each["subject"] for each in second} & {each["subject"] for each in first[:100]}
    assert [each["round"] for each in system.listed("ranking", "list", "--programme", FOOD)] == ["food-2", "food-1"]
    print(system.tepat("ranking", "show", "food-1", "--left-out", "--limit", "1"))


async def test_a_round_gives_each_of_them_one_by_coupon_and_no_more_than_there_are(
    system: Running, tmp_path: Path
) -> None:
    now = datetime.now(ZoneInfo("Asia/Jakarta"))
    opening = ("round", "open", "food-1", "--on", f"{now:%Y-%m-%d}", "--closes", f"{now + timedelta(2):%Y-%m-%d}")
    for _ in range(60):  # until distribution has heard of the ranking
        if opened := system.tepat(*opening, "--json", status=None):
            break
    assert (json.loads(opened)["packages"], json.loads(opened)["allocated"]) == (100, 100)
    system.tepat("round", "coupons", "food-1", "-o", tmp_path / "coupons.csv")
    with (tmp_path / "coupons.csv").open(encoding="utf-8-sig") as sheet:
        rows = list(csv.reader(sheet, delimiter=";"))[1:]
    assert len({row[4] for row in rows}) == len(rows) == 100
    system.tepat("round", "hand", "food-1", "--to", "psm", "--name", "Bu Sri", "--region", "35.75")
    headings = ["delivery_id", "coupon", "at", "officer", "region", "photo"]
    given = office_file(
        tmp_path / "given.csv", headings,
        ([f"G-{n}", row[2].lower(), now.isoformat(), "TKSK", row[3], f"{n:064x}"] for n, row in enumerate(rows)),
    )  # fmt: skip
    system.kill("distribution")  # one of two: what it had in hand is told again
    for _ in range(30):
        if (told := system.tepat("round", "deliver", "food-1", "--file", given, "--json", status=None)) != "":
            break
    assert {each["outcome"] for each in map(json.loads, told.splitlines())} <= {"recorded", "again"}
    again = system.listed("round", "deliver", "food-1", "--file", given)
    assert Counter(each["outcome"] for each in again) == {"again": 100}
    more = ("--photo", "f" * 64, "--officer", "TKSK", "--region", "35.75", "--json")
    (twice,) = map(
        json.loads, system.tepat("round", "deliver", "food-1", "--coupon", rows[0][2], *more, status=1).splitlines()
    )
    assert twice["reason"] == "redeemed"
    (progress,) = system.listed("round", "progress", "food-1")
    assert (progress["stock"], progress["total"]["delivered"], progress["total"]["unhanded"]) == (0, 100, 100)
    assert sum(each["delivered"] for each in progress["areas"]) == 100


def test_no_log_holds_a_nik_or_a_reason(system: Running, pasuruan: Pasuruan) -> None:
    every = "".join(path.read_text(errors="replace") for path in (system.data / "logs").glob("*.log*"))
    assert not any(each.nik in every for each in pasuruan.people)
    assert not any(reason in every for reason in cases.REASONS)
