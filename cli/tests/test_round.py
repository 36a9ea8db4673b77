"""Rounds through the service's interface, which is played by a transport."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from .conftest import Tepat
from .test_services import Api, api, objects  # noqa: F401 – a fixture

ROUND: dict[str, Any] = {
    "round": "2026-W10", "number": 1, "programme": "SB", "region": "33.74", "day": "2026-03-06", "closes": "2026-03-08",
    "state": "open", "kind": "goods", "each": None, "by": "coupon", "ranked": 650, "packages": 100, "stock": 60,
    "allocated": 100, "delivered": 40, "left": 60, "short": 0, "opened_at": "2026-03-01T01:00:00Z",
    "opened_by": "rini", "closed_at": None,
}  # fmt: skip
PATH = "/distribution/v1/rounds"
REFUSED = {
    "delivery_id": "d2", "outcome": "refused", "place": 2, "reason": "redeemed",
    "why": {"id": "kupon sudah dipakai", "en": "the coupon was redeemed"},
}  # fmt: skip


def body(api: Api) -> Any:  # noqa: F811
    return orjson.loads(api.asked[-1].content)


def test_a_round_is_opened_listed_and_shown(api: Api, tepat: Tepat) -> None:  # noqa: F811
    api.answers[f"POST {PATH}"] = ROUND
    ran = tepat("round", "open", "2026-W10", "--on", "2026-03-06", "--closes", "2026-03-08", "--packages", "100")
    assert "100 packages, 60 in stock, 40 delivered, 60 promised; 650 were ranked" in ran.words
    assert body(api) == {
        "round": "2026-W10", "day": "2026-03-06", "closes": "2026-03-08", "packages": 100, "by": "coupon",
    }  # fmt: skip
    cash = {**ROUND, "kind": "cash", "each": 500_000, "short": 3}
    api.answers[f"POST {PATH}"] = cash
    ran = tepat("round", "open", "r", "--on", "2026-03-06", "--budget", 5_000_000, "--each", 500_000, "--door-to-door")
    assert "packages, each Rp 500.000" in ran.words
    assert "3 are promised and not there" in ran.words
    assert body(api)["by"] == "list"
    api.answers[f"GET {PATH}"] = {"items": [ROUND], "next": None}
    assert "2026-W10\tSB\t33.74\t2026-03-06" in tepat("round", "list", "--open").out
    assert api.asked[-1].url.params["open"] == "true"
    given = {"delivery_id": "d1", "at": "2026-03-06T04:00:00Z", "officer": "Pak Slamet", "region": "33.74.01.1001",
             "proof": {"kind": "photo", "sha256": "ab" * 32}}  # fmt: skip
    items = [
        {"place": 1, "subject": "0f", "region": "33.74.01.1001", "state": "delivered", "with": None,
         "delivery": given, "reason": None},
        {"place": 2, "subject": "0e", "region": "33.74.01.1001", "state": "returned", "delivery": None,
         "with": {"step": "rw", "name": "Pak RW", "at": "2026-03-06T04:00:00Z"}, "reason": "pindah"},
    ]  # fmt: skip
    api.answers[f"GET {PATH}/2026-W10"] = {**ROUND, "items": items, "next": None}
    lines = tepat("round", "show", "2026-W10").out.splitlines()
    assert lines[1].endswith("delivered\t\t2026-03-06T04:00:00Z by Pak Slamet, photo")
    assert lines[2].endswith("returned\tRW Pak RW\tpindah")


def test_coupons_are_printed_for_their_owner_alone(api: Api, tepat: Tepat, tmp_path: Path) -> None:  # noqa: F811
    each = {"place": 1, "coupon": "0001-AAAA-BBBB-CCCC", "subject": "0f", "region": "33.74.01.1001", "with": None}
    api.answers[f"GET {PATH}/2026-W10/coupons"] = {"items": [each], "next": None}
    assert "1\t0001-AAAA-BBBB-CCCC\t33.74.01.1001" in tepat("round", "coupons", "2026-W10").out
    sheet = tmp_path / "kupon.csv"
    ran = tepat("round", "coupons", "2026-W10", "-o", sheet)
    assert "1 coupons in" in ran.words
    assert sheet.read_text("utf-8-sig").splitlines()[1] == "2026-W10;1;0001-AAAA-BBBB-CCCC;33.74.01.1001;0f"
    assert sheet.stat().st_mode & 0o777 == 0o600
    assert tepat("round", "coupons", "2026-W10", "-o", tmp_path / "no" / "x.csv").status == 2
    assert "would hold CSV: name it x.csv" in tepat("round", "coupons", "2026-W10", "-o", tmp_path / "x.xlsx").words
    api.answers[f"POST {PATH}/2026-W10/handovers"] = {"to": "rw", "recorded": 1, "again": 0, "refused": 0,
                                                      "outcomes": []}  # fmt: skip
    ran = tepat("round", "hand", "2026-W10", "0001-AAAA-BBBB-CCCC", "--to", "rw", "--name", "Pak RW 3")
    assert "1 handed to rw" in ran.words
    assert body(api) == {"to": "rw", "name": "Pak RW 3", "coupons": ["0001-AAAA-BBBB-CCCC"], "region": None}
    nothing = {
        "outcome": "refused",
        "place": None,
        "reason": "hand_first",
        "why": {"id": "PSM dulu", "en": "PSM first"},
    }
    api.answers[f"POST {PATH}/2026-W10/handovers"] = {"to": "rw", "recorded": 0, "again": 0, "refused": 1,
                                                      "outcomes": [nothing]}  # fmt: skip
    ran = tepat("round", "hand", "2026-W10", "--to", "rw", "--region", "33.74")
    assert (ran.status, ran.err.splitlines()[0]) == (1, "PSM first / PSM dulu")


def test_deliveries_are_sent_with_the_digest_of_their_proof(api: Api, tepat: Tepat, tmp_path: Path) -> None:  # noqa: F811
    def recorded(request: httpx.Request) -> Any:
        told = orjson.loads(request.content)["deliveries"]
        some = [REFUSED] if any(each.get("delivery_id") == "d2" for each in told) else []
        done = len(told) - len(some)
        return {"recorded": done, "again": 0, "refused": len(some), "stock": 59, "outcomes": some}

    api.answers[f"POST {PATH}/2026-W10/deliveries"] = recorded
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"a photo")
    sha = hashlib.sha256(b"a photo").hexdigest()
    one = ("--coupon", "0001-AAAA-BBBB-CCCC", "--photo", photo, "--officer", "Pak Slamet", "--region", "33.74.01.1001")
    ran = tepat(
        "round", "deliver", "2026-W10", *one, "--at", "2026-03-06T09:30+07:00", "--lat", "-6.98", "--lon", "110"
    )
    assert (ran.status, "1 delivered, 0 known before, 0 refused; 59 in stock" in ran.words) == (0, True)
    (sent,) = body(api)["deliveries"]
    assert sent == {
        "delivery_id": sent["delivery_id"], "coupon": "0001-AAAA-BBBB-CCCC", "at": "2026-03-06T09:30+07:00",
        "officer": "Pak Slamet", "region": "33.74.01.1001", "coordinates": {"lat": -6.98, "lon": 110.0},
        "proof": {"kind": "photo", "sha256": sha},
    }  # fmt: skip
    tepat("round", "deliver", "2026-W10", *one, "--at", "2026-03-06T09:30+07:00", "--lat", "-6.98", "--lon", "110")
    assert body(api)["deliveries"] == [sent]  # the same again under the same id

    file = tmp_path / "d.csv"
    rows = [f"d{n};2026-03-06T09:30+07:00;Pak Slamet;33.74.01.1001;0001-{n:04}-BBBB-CCCC;a.jpg" for n in range(501)]
    file.write_text("delivery_id;at;officer;region;coupon;photo\n" + "\n".join(rows))
    ran = tepat("round", "deliver", "2026-W10", "--file", file)
    assert ran.status == 1
    assert "d2: the coupon was redeemed / kupon sudah dipakai" in ran.words
    assert "500 delivered, 0 known before, 1 refused" in ran.words
    assert objects(tepat("round", "deliver", "2026-W10", "--file", file, "--json").out) == [REFUSED]
    assert len(body(api)["deliveries"]) == 1


def test_what_is_wrong_in_a_file_of_deliveries_is_named_by_its_line(api: Api, tepat: Tepat, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "d.csv"
    rows = [f"d{n};kemarin;Pak Slamet;33.74.01.1001;0001-{n:04}-BBBB-CCCC;{'ab' * 32}" for n in range(2)]
    file.write_text("delivery_id;at;officer;region;coupon;photo\n" + "\n".join(rows))
    errors = [
        {"pointer": "body/deliveries/1/at", "message": "must be a moment"},
        {"pointer": "body/deliveries/0", "message": "name the coupon"},
    ]
    api.answers[f"POST {PATH}/2026-W10/deliveries"] = httpx.Response(422, json={"errors": errors})
    ran = tepat("round", "deliver", "2026-W10", "--file", file)
    assert ran.status == 2
    assert f"{file}, line 3: at must be a moment; {file}, line 2: name the coupon" in ran.words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--coupon", "A", "--officer", "B", "--region", "33"), "needs a coupon or subject"),
        (("--coupon", "A", "--subject", "0f", "--photo", "ab" * 32, "--officer", "B", "--region", "33"), "needs"),
        (("--coupon", "A", "--photo", "none.jpg", "--officer", "B", "--region", "33"), "none.jpg can't be read"),
        (("--file", "none.csv"), "none.csv can't be read"),
        (("--file", "two.csv"), "two.csv, line 3: a delivery needs a coupon or subject"),
    ],
)
def test_a_delivery_that_lacks_something_is_not_sent(
    api: Api,  # noqa: F811
    tepat: Tepat,
    arguments: Any,
    words: str,
    tmp_path: Path,
) -> None:
    row = f"2026-03-06T09:30+07:00;Pak Slamet;33.74;0001;{'ab' * 32}"
    (tmp_path / "two.csv").write_text(f"at;officer;region;coupon;photo\n{row}\n{row.replace('0001', '')}\n")
    ran = tepat("round", "deliver", "2026-W10", *arguments)
    assert (ran.status, api.asked) == (2, [])
    assert words in ran.words


def test_what_comes_back_what_comes_in_and_the_end(api: Api, tepat: Tepat) -> None:  # noqa: F811
    counts = {"recorded": 1, "again": 0, "refused": 0, "outcomes": []}
    api.answers[f"POST {PATH}/2026-W10/returns"] = {**counts, "stock": 61, "allocated": 1}
    ran = tepat("round", "return", "2026-W10", "--delivery", "d1", "--reason", "pindah")
    assert "1 taken back, 1 promised to the next" in ran.words
    assert body(api) == {"returns": [{"delivery_id": "d1", "reason": "pindah"}]}
    api.answers[f"POST {PATH}/2026-W10/stock"] = {**ROUND, "newly_allocated": 0}
    tepat("round", "stock", "2026-W10", "--id", "s1", "--lose", 3, "--reason", "basah")
    assert body(api) == {"restock_id": "s1", "packages": -3, "reason": "basah"}
    told = len(api.asked)
    for nothing in ((), ("--add", 2, "--lose", 2)):
        ran = tepat("round", "stock", "2026-W10", "--id", "s2", *nothing, "--reason", "basah")
        assert (ran.status, len(api.asked)) == (2, told)
        assert "name --add with how many came, or --lose" in ran.words
    api.answers[f"POST {PATH}/2026-W10/close"] = {**ROUND, "unclaimed": 60, "newly_allocated": 60}
    ran = tepat("round", "close", "2026-W10", "--next-until", "2026-03-10")
    assert "60 were not fetched, 60 are promised to the next" in ran.words
    assert body(api) == {"next_until": "2026-03-10"}


def test_progress_and_adoption(api: Api, tepat: Tepat) -> None:  # noqa: F811
    area = {"region": "33.74.01.1001", "name": "Miroto", "allocated": 100, "handed": 34, "delivered": 2, "returned": 0,
            "unclaimed": 0, "left": 98, "psm": 100, "rw": 50}  # fmt: skip
    total = {**{name: area[name] for name in area if name not in ("region", "name")}, "unhanded": 1}
    api.answers[f"GET {PATH}/2026-W10/progress"] = {**ROUND, "areas": [area], "total": total}
    ran = tepat("round", "progress", "2026-W10")
    assert ran.out.splitlines()[1:] == [
        "33.74.01.1001\tMiroto\t100\t100\t50\t34\t2\t0\t0\t98", "all\t\t100\t100\t50\t34\t2\t0\t0\t98",
    ]  # fmt: skip
    assert "1 were redeemed before" in ran.words
    assert objects(tepat("round", "progress", "2026-W10", "--json").out)[0]["total"] == total
    api.answers["POST /distribution/v1/held"] = {"day": "2023-09-08", "changed": False}
    ran = tepat("round", "report", "33.74.01.1001", "--programme", "SB", "--on", "2023-09-08", "--packages", 80)
    assert "33.74.01.1001 held a round of 80 on 2023-09-08, as was known" in ran.words
    api.answers["GET /distribution/v1/adoption/33.74"] = {
        "region": "33.74", "name": "KOTA SEMARANG", "programme": "SB", "kelurahan": 177, "within": 31,
        "months": [{"month": "2023-09", "upto": "2023-09-30", "held": 89, "share": 0.5028}],
        "targets": [{"by": "2023-12-31", "kelurahan": 100, "held": 89, "state": "to_come", "lacking": 11}],
    }  # fmt: skip
    ran = tepat("round", "adoption", "33.74", "--programme", "SB")
    assert "2023-09\t89\t50.3%" in ran.out
    assert "2023-12-31\t100\t89\t11\tto come" in ran.out
    assert "89 of 177 kelurahan of KOTA SEMARANG held a round within 31 days" in ran.words
