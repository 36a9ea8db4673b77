"""Funds, groups, capital and support by the command: what is sent, and what is said."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from .conftest import Tepat
from .test_services import Api, api  # noqa: F401 – the fixture

PERSON = "0b6f6f4c-3f0e-5a53-8f8e-5c7d1c6f2a44"
FUND = {
    "fund": "tegalsari-rtlh", "agency": "dpmd", "institution": "LPMK-1", "purpose": "rtlh", "region": "33.74.01.1001",
    "holds": 3_000_000, "contributed": 33_000_000, "spent": 30_000_000, "handed_over": 0,
}  # fmt: skip
ENTRY = {
    "n": 1, "entry_id": "k-1", "kind": "spending", "amount": 500_000, "on": "2026-02-01", "who": "operator",
    "receipt": "1e" * 32,
}  # fmt: skip
GROUP = {
    "group": "mawar-jaya", "title": "KUBE Mawar Jaya", "agency": "dinsos", "region": "33.74.01.1001",
    "formed_on": "2026-02-01", "members": 1,
}  # fmt: skip


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    file = tmp_path / "kwitansi.jpg"
    file.write_bytes(b"a photo")
    return file


def sent(api: Api) -> dict[str, Any]:  # noqa: F811
    """The body of the last request that had one."""
    told: dict[str, Any] = orjson.loads(next(each.content for each in reversed(api.asked) if each.content))
    return told


def test_a_fund_from_its_opening_to_its_listing(api: Api, tepat: Tepat, receipt: Path) -> None:  # noqa: F811
    api.answers |= {
        "GET /registry/v1/institutions": {
            "items": [{"agency": "dpmd", "institution_id": "LPMK-1"}], "next": None,
        },
        "POST /distribution/v1/funds": FUND, "GET /distribution/v1/funds": {"items": [FUND], "next": None},
        "GET /distribution/v1/funds/tegalsari-rtlh": {**FUND, "items": [ENTRY], "next": None},
        "POST /distribution/v1/funds/tegalsari-rtlh/contributions": ENTRY,
        "POST /distribution/v1/funds/tegalsari-rtlh/spendings": ENTRY,
    }  # fmt: skip
    ran = tepat(
        "fund", "open", "tegalsari-rtlh", "--agency", "dpmd", "--institution", "LPMK-1", "--purpose", "rtlh",
        "--region", "33.74.01.1001",
    )  # fmt: skip
    assert ran.status == 0
    other = ("--agency", "dpmd", "--institution", "LPMK-2", "--purpose", "rtlh", "--region", "33.74.01.1001")
    ran = tepat("fund", "open", "other-rtlh", *other)
    assert (ran.status, "has registered no institution LPMK-2" in ran.words) == (2, True)
    assert sent(api) == {name: FUND[name] for name in ("fund", "agency", "institution", "purpose", "region")}
    ran = tepat("fund", "contribute", "tegalsari-rtlh", "k-1", "--amount", "Rp 500.000", "--on", "2026-02-01")
    assert sent(api) == {"entry_id": "k-1", "amount": 500_000, "on": "2026-02-01", "note": None}
    assert "tegalsari-rtlh holds Rp 3.000.000" in ran.words
    tepat(
        "fund", "spend", "tegalsari-rtlh", "r-1", "--amount", "500000", "--receipt", receipt, "--household", PERSON,
        "--on", "2026-02-01",
    )  # fmt: skip
    assert sent(api)["receipt"] == hashlib.sha256(b"a photo").hexdigest()
    assert sent(api)["household"] == PERSON
    assert "\tRp 3.000.000\t" in tepat("fund", "list").out
    ran = tepat("fund", "show", "tegalsari-rtlh")
    assert "Rp -500.000" in ran.out
    assert "Rp 33.000.000 given, Rp 30.000.000 spent, holds Rp 3.000.000" in ran.words


def test_what_a_fund_cannot_carry_is_said_with_what_to_do(
    api: Api,  # noqa: F811
    tepat: Tepat,
    receipt: Path,
) -> None:
    words = "the fund holds Rp 1, Rp 9 too little: hand the case over: `tepat fund hand-over f`"
    api.answers["POST /distribution/v1/funds/f/spendings"] = httpx.Response(409, json={"detail": words})
    ran = tepat("fund", "spend", "f", "r-1", "--amount", "10", "--receipt", receipt)
    assert (ran.status, "hand-over f" in ran.words) == (2, True)
    told = {"hand_over_id": "c-1", "amount": 10, "held": 1, "next": "`tepat reports show rt/1` tells"}
    api.answers["POST /distribution/v1/funds/f/hand-overs"] = told
    ran = tepat(
        "fund", "hand-over", "f", "c-1", "--amount", "10", "--reason", "a roof", "--report", "rt/1", "--to-agency", "x"
    )
    assert "tepat reports show rt/1" in ran.words
    assert sent(api) == {
        "hand_over_id": "c-1", "amount": 10, "reason": "a roof", "report": "rt/1", "to_agency": "x", "revision": 1,
    }  # fmt: skip
    assert tepat("fund", "spend", "f", "r", "--amount", "10", "--receipt", "missing.jpg").status == 2
    assert tepat("fund", "contribute", "f", "r", "--amount", "1,5 juta").status == 2


def test_a_nik_typed_goes_to_the_registry_alone(
    api: Api,  # noqa: F811
    tepat: Tepat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nik = "3374014101900001"
    api.answers |= {
        "POST /registry/v1/lookup": {"kind": "person", "pseudonym": PERSON},
        "POST /distribution/v1/groups": GROUP,
        "POST /distribution/v1/groups/mawar-jaya/members": GROUP,
        f"POST /distribution/v1/groups/mawar-jaya/members/{PERSON}/leave": GROUP,
        "GET /distribution/v1/groups/mawar-jaya": {
            **GROUP, "people": [{"member": PERSON, "person": PERSON, "since": "2026-03-01", "also_in": ["melati"]}],
        },
        "GET /distribution/v1/groups": {"items": [GROUP], "next": None},
    }  # fmt: skip
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("tepat_cli.lookup.getpass", lambda _: nik)
    formed = ("--title", "KUBE Mawar Jaya", "--agency", "dinsos", "--region", "33.74.01.1001", "--on", "2026-02-01")
    assert tepat("group", "form", "mawar-jaya", *formed).status == 0
    assert "1 in it" in tepat("group", "add", "mawar-jaya", "-", "--on", "2026-03-01").words
    assert sent(api) == {"person": PERSON, "since": "2026-03-01"}
    assert tepat("group", "leave", "mawar-jaya", "-", "--until", "2026-04-01").status == 0
    assert sent(api) == {"until": "2026-04-01"}
    told = [request for request in api.asked if nik.encode() in request.content or nik in str(request.url)]
    assert {request.url.path for request in told} == {"/registry/v1/lookup"}
    assert "melati" in tepat("group", "show", "mawar-jaya").out
    assert "KUBE Mawar Jaya" in tepat("group", "list", "--region", "33.74").out


def test_capital_and_support_are_listed_with_their_receipts(
    api: Api,  # noqa: F811
    tepat: Tepat,
    receipt: Path,
) -> None:
    paid = {
        "agency": "dinsos", "payout_id": "m/1", "programme": "MODAL", "amount": 2_500_000, "state": "disbursed",
        "covers": {"from": "2026-01-01", "to": "2026-12-31"}, "household": PERSON, "region": "35.75.01.1001",
    }  # fmt: skip
    given = {**ENTRY, "kind": "support", "institution": "d/TKSK-1", "agency": "d", "region": "64.72", "purpose": "ops"}
    api.answers |= {
        "GET /distribution/v1/capital": {"items": [paid], "next": None},
        "POST /distribution/v1/capital/receipts": {**paid, "receipt": "1e" * 32},
        "POST /distribution/v1/institutions/support": given,
        "GET /distribution/v1/institutions/support": {"items": [given], "next": None},
    }  # fmt: skip
    assert tepat("capital", "list", "--without-receipt").out.splitlines()[1].endswith("none")
    assert api.asked[-1].url.params["receipt"] == "false"
    assert tepat("capital", "receipt", "dinsos/m/1", "--receipt", receipt, "--on", "2026-03-01").status == 0
    assert sent(api) == {
        "agency": "dinsos", "payout_id": "m/1", "receipt": hashlib.sha256(b"a photo").hexdigest(),
        "received_on": "2026-03-01",
    }  # fmt: skip
    assert tepat("capital", "receipt", "m-1", "--receipt", receipt).status == 2
    ran = tepat(
        "institutions", "support", "give", "d/TKSK-1", "k-1", "--agency", "d", "--amount", "500000",
        "--region", "64.72", "--receipt", receipt,
    )  # fmt: skip
    assert "Rp 500.000 given to d/TKSK-1" in ran.words
    assert "Rp 500.000" in tepat("institutions", "support", "list", "--region", "64.72").out
