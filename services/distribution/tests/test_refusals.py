"""Everything that the service refuses is said in English and Indonesian, with what to do."""

import ast
import inspect
from typing import Any, get_args

import pytest
import tepat_distribution
from pydantic import BaseModel, TypeAdapter, ValidationError
from tepat_chassis.refusals import COMMON
from tepat_chassis.wanted import wanted
from tepat_contracts.bilingual import Said
from tepat_contracts.events.ours import CaseActKind
from tepat_distribution import cases_api, funds, giving, groups, refusals, resolving, rounds, rounds_api

from chassis.tests.refusing import name, refuses_in_words, says_the_same


@pytest.mark.parametrize("said", [*refusals.SAID.items(), *giving._SAID.items()], ids=lambda said: said[0])
def test_both_languages_say_the_same(said: tuple[str, Said]) -> None:
    says_the_same(said[1])


def test_all_of_them_are_known() -> None:
    assert list(refusals.SAID) == list(get_args(refusals.Why))
    assert set(giving._SAID) == set(get_args(giving.Reason))


def test_nothing_is_refused_in_words_of_its_own() -> None:
    refuses_in_words(tepat_distribution, {**COMMON, **refusals.SAID}, refusals.SAID)
    for module in (rounds, rounds_api):
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(call, ast.Call) and name(call) == "refused" and isinstance(call.args[0], ast.Constant):
                assert call.args[0].value in giving._SAID


def test_every_state_of_a_case_and_act_in_it_has_a_name_in_both() -> None:
    """But for `opened`: no case is told so."""
    assert {*get_args(resolving.State), *get_args(CaseActKind)} - {"opened"} <= set(refusals.CALLED)


DELIVERED = {
    "delivery_id": "d1", "coupon": "0001", "at": "2026-03-06T09:30:00+07:00", "officer": "Bu Sri",
    "region": "33.74.01.1001", "proof": {"kind": "photo", "sha256": "ab" * 32},
}  # fmt: skip
OPENED = {"fund": "tegalsari-rtlh", "agency": "dpmd", "institution": "LPMK-1", "purpose": "rtlh", "region": "33.74"}


@pytest.mark.parametrize(
    ("of", "told", "wrong", "words"),
    [
        (rounds_api.Delivered, DELIVERED, {"at": "2026-03-06T09:30:00"}, "with its zone, such as 2026-03-06T09:30+07"),
        (rounds_api.Delivered, DELIVERED, {"at": "kemarin"}, "zona waktu, contoh 2026-03-06T09:30+07:00"),
        (rounds_api.Delivered, DELIVERED, {"delivery_id": "a\tb"}, "on one line"),
        (rounds_api.Delivered, DELIVERED, {"delivery_id": "a" * 129}, "at most 128 characters / paling banyak 128"),
        (rounds_api.Delivered, DELIVERED, {"proof": {"kind": "photo", "sha256": "ab"}}, "64 digits of 0-9 and a-f"),
        (rounds_api.Delivered, DELIVERED, {"coupon": None, "subject": "budi"}, "an id such as 0b6f6f4c-"),
        (rounds_api.Delivered, DELIVERED, {"coupon": None}, "name the coupon, or by the list the subject / "),
        (rounds_api.Delivered, DELIVERED, {"region": "3374"}, "harus kode wilayah"),
        (rounds_api.Delivered, DELIVERED, {"coordinates": {"lat": 91, "lon": 110}}, "must be 90.0 or less / harus"),
        (rounds_api.ToOpen, {"round": "r"}, {"day": "6 Maret"}, "must be a day, such as 2026-03-06 / harus tanggal"),
        (rounds_api.ToRestock, {"restock_id": "a", "reason": "basah"}, {"packages": "x"}, "must be a whole number"),
        (rounds_api.ToRestock, {"restock_id": "a", "reason": "basah"}, {"packages": 0}, "how many packages came, or"),
        (rounds_api.ToRestock, {"restock_id": "a"}, {"packages": 1}, "is missing / belum diisi"),
        (funds.Opened, OPENED, {"fund": "x"}, "3 to 64 small letters, digits and dashes, such as tegalsari-rtlh / "),
        (funds.Opened, OPENED, {"purpose": "RTLH"}, "3 sampai 64 huruf kecil"),
        (funds.Opened, OPENED, {"more": 1}, "leave it out / tidak diminta"),
        (funds.HandedOver, {"hand_over_id": "h", "amount": 1, "reason": "atap"}, {"report": "LAP-1"}, "AGENCY/ID"),
        (funds.HandedOver, {"hand_over_id": "h", "amount": 1}, {"reason": "   "}, "must be said in words: at least 3"),
        (rounds_api.Returned, {"delivery_id": "d1"}, {"reason": " - "}, "must be said in words"),
        (rounds_api.Delivered, DELIVERED, {"elsewhere": "   "}, "must be said in words"),
        (rounds_api.Delivered, DELIVERED, {"officer": "   "}, "at least 1 characters"),
        (rounds_api.ToRestock, {"restock_id": "a", "packages": 1}, {"reason": "   "}, "must be said in words"),
        (cases_api.Hold, {"revision": 1}, {"reason": "   "}, "must be said in words"),
        (cases_api.Resolution, {"revision": 1, "reason": "keliru"}, {"basis": "   "}, "harus diisi dengan kata-kata"),
        (groups.Leaving, {}, {"until": 5.5}, "must be a day"),
        (groups.Joining, {"since": "2026-01-01"}, {"person": "x"}, "must be an id such as 0b6f6f4c-"),
    ],
)
def test_what_does_not_fit_is_told_in_both(
    of: type[BaseModel], told: dict[str, Any], wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(of).validate_python(told | wrong)
    said = wanted(dict(refused.value.errors()[0]))
    assert words in said
    assert " / " in said
