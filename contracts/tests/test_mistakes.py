"""Whatever is wrong with a policy is told in English and Indonesian, and nothing in words that are not there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
import tepat_contracts
from pydantic import ValidationError
from tepat_contracts import criteria
from tepat_contracts.bilingual import BETWEEN, Said
from tepat_contracts.mistakes import MILDER, SAID, Why, wrong
from tepat_contracts.policy import check, from_document

from chassis.tests.refusing import name, placeholders, says_the_same

from .test_policy import ADOPTION, CONTRACT, MINIMAL, NOTICES, REPORTS, SCORE, changed

MAKERS = {"Mistake": "_mistake", "Wrong": "wrong", "PydanticCustomError": "_misformed"}
"""Where alone these are made."""


@pytest.mark.parametrize("said", SAID.items(), ids=lambda said: said[0])
def test_both_languages_say_the_same(said: tuple[str, Said]) -> None:
    says_the_same(said[1])


def _functions() -> Iterator[tuple[str, list[ast.AST]]]:
    for path in sorted(Path(tepat_contracts.__path__[0]).glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield function.name, list(ast.walk(function))


def test_no_mistake_is_made_in_other_words() -> None:
    assert list(SAID) == list(get_args(Why))
    assert set(MILDER) < set(SAID)
    for function, nodes in _functions():
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            assert MAKERS.get(name(call), function) == function, ast.unparse(call)
            if name(call) == "wrong" and isinstance(why := call.args[0], ast.Constant):
                assert {each.arg for each in call.keywords} == placeholders(SAID[why.value][0]), ast.unparse(call)


def criterion(expression: str) -> str:
    return CONTRACT.replace('"household.decile <= 4"', "'" + expression.replace("'", "''") + "'")


def programme(more: str) -> str:
    return changed("needs_verification: false,", f"needs_verification: false, {more},")


def rule(more: str) -> str:
    return CONTRACT.replace("regions:", f"  - {{id: b, {more}}}\nregions:")


def score(old: str, new: str) -> str:
    asking = changed('criteria: "household.decile <= 4"', "criteria: household.score_decile <= 4", CONTRACT + SCORE)
    return changed(old, new, asking)


def of_report(old: str, new: str) -> str:
    return changed(old, new, REPORTS)


def of_notice(old: str, new: str) -> str:
    return changed(old, new, NOTICES)


SAME = "programmes: [BPNT, PKH], scope: household"
PAID = "{code: c, name: {id: c, en: c}, amount: 5, criteria: person.age > 3}"
PROVOKED: dict[Why, str] = {
    "tab": "a:\n\t- x",
    "stray_colon": "a: b: c",
    "no_colon": "a: 1\nb\nc: 2",
    "indent": 'a: "b" c',
    "unclosed": "a: [b c: d",
    "unended": 'a: "b',
    "not_yaml": "a: *b",
    "too_deep": "[" * 1100,
    "twice_here": CONTRACT + "secret_id: main\n",
    "missing": changed("time_zone: Asia/Jakarta\n", "", CONTRACT).replace("overlap_rules:", "rules:"),
    "no_field": changed("secret_id", "secret"),
    "not_text": changed('version: "2026-01"', "version: 2026"),
    "neither_text": changed('version: "2026-01"', "version: [a]"),
    "no_mapping": programme("effective: x").replace(", effective: {from: 2020-01-01}}", "}", 1),
    "key_not_text": CONTRACT + "1: x\n",
    "no_date": changed("to: 2027-12-31", "to: 2027-02-30"),
    "empty": programme('basis: x, rank_by: ""').replace('basis: "x", effective', "effective", 1),
    "too_few": changed("[PKH, BPNT]", "[PKH]"),
    "too_many": changed("[PKH, BPNT]", "[PKH, BPNT, PKH]"),
    "no_choice": changed("verdict: review", "verdict: forbidden"),
    "no_whole": changed("trust_rank: 2", 'trust_rank: "2"'),
    "no_number": score("weight: 4", 'weight: "4"'),
    "not_finite": score("weight: 4", "weight: .inf"),
    "no_boolean": changed("repeatable: false", 'repeatable: "no"'),
    "no_list": changed("rights: [merge]", "rights: merge"),
    "at_least": changed("trust_rank: 2", "trust_rank: 0"),
    "at_most": changed("trust_rank: 2", "trust_rank: 2147483648"),
    "unfit": changed('version: "2026-01"', 'version: "\\ud800"'),
    "of_version": changed("2026-01", "2026-01 "),
    "of_secret_id": changed("secret_id: main", "secret_id: ../main"),
    "of_id": changed("id: dinsos-jateng", "id: Dinsos"),
    "of_code": changed('code: "33.74.17"', 'code: "3374"'),
    "of_programmes": changed("[PKH, BPNT]", '[PKH, ""]'),
    "of_prefer": changed("prefer: PKH", 'prefer: ""'),
    "of_regions": programme('regions: ["3374"]'),
    "duration": changed("P7D", "7"),
    "time_zone": changed("Asia/Jakarta", "Asia/Semarang"),
    "json_key": changed("{default", "{2026-01-01"),
    "json_value": changed("email: true}}", "email: .nan}}"),
    "kept": MINIMAL + "retention: {payouts: 10 years}\n",
    "term": MINIMAL + "cases: {within: P2000D}\n",
    "clock": of_notice('from: "21:00"', 'from: "24:00"'),
    "addressees": of_notice("to: {officers: lurah}", "to: {}"),
    "named_twice": changed("programmes: [PKH], rights", "programmes: [PKH, PKH], rights"),
    "no_programme": changed("programmes: [PKH], rights", "programmes: [PHK], rights"),
    "no_agency": of_report("agency: kel, region", "agency: kell, region"),
    "sealed": changed("secret_id: main", "secret_id: seal"),
    "no_quota": programme("quota: many"),
    "no_area": programme('regions: ["33.99"]'),
    "within_another": programme('regions: ["33.74.01", "33.74"]'),
    "by_component": programme(f"period: month, amount: 3, components: [{PAID}]"),
    "needs_components": programme("most_components: 2"),
    "needs_period": programme("amount: 5"),
    "due_to_nobody": programme("amount: 5, period: month").replace('criteria: "household.decile <= 4", ', ""),
    "never_due": programme(f"period: month, components: [{PAID}, {PAID.replace('code: c', 'code: d')}]"),
    "not_after": changed("2023-12-31", "2023-09-30", ADOPTION),
    "fewer": changed("kelurahan: 100", "kelurahan: 80", ADOPTION),
    "not_repeatable": changed("repeatable: true", "repeatable: false", ADOPTION),
    "neighbours_overlap": changed("verdict: complementary", "verdict: review", ADOPTION),
    "says_otherwise": programme('named_criteria: [{code: a, name: {id: a, en: a}, expression: "false"}]'),
    "no_person_there": criterion("person.age > 3"),
    "no_score": criterion("household.score < 3"),
    "score_unasked": CONTRACT + SCORE,
    "score_of_person": score("value: household.size", "value: person.age"),
    "score_of_score": score("value: household.size", "value: household.score"),
    "not_ascending": score("8, 9.5]", "8, 8]"),
    "built_in_id": changed("id: pkh-bpnt", "id: same-programme-same-person"),
    "prefers_other": changed("prefer: PKH", "prefer: PIP"),
    "ends_before": changed("2020-01-01, to: 2027-12-31", "2020-01-01, to: 2019-12-31"),
    "gap": rule(f"{SAME}, verdict: review, effective: {{to: 2018-12-31}}"),
    "contradicts": rule(f"{SAME}, verdict: exclusive, effective: {{to: 2020-01-01}}"),
    "contradicts_all": rule(f"{SAME}, verdict: exclusive"),
    "never_decides": rule(f"{SAME}, verdict: review"),
    "never_decides_built_in": rule("programmes: [PKH, PKH], scope: person, verdict: review"),
    "begins_after": changed("from: 2020-01-01, to: 2027-12-31", "from: 2018-01-01, to: 2019-12-31"),
    "same_charge": REPORTS + "      - {step: province, agency: aaa, kinds: [fire]}\n" * 2,
    "climbs": of_report("step: province, within: P7D}", "step: rt, within: P7D}"),
    "no_step": of_report("step: kelurahan, agency", "step: kota, agency"),
    "passed": of_report("agency: kel, region", "agency: kel, kinds: [fire], region"),
    "passed_all": of_report("step: kelurahan, agency: kel", "step: province, agency: kel"),
    "uncharged": REPORTS.replace("      - {step: province, agency: aaa}\n", ""),
    "uncharged_anywhere": REPORTS.replace("      - {step: province, agency: aaa}\n", ""),
    "no_groups": MINIMAL + "routes: {recipients: []}\n",
    "told_nothing": of_notice("to: {officers: lurah}", "to: {agency: kel}"),
    "no_routes": MINIMAL + "routes: {notices: {}}\n",
    "no_people": MINIMAL + "routes: {recipients: {a: []}}\n",
    "never_quiet": of_notice('from: "21:00"', 'from: "06:00"'),
    "digest": of_notice("kinds: [report]\n      verdicts: [fire]", "kinds: [rejection]"),
    "digest_else": of_notice("kinds: [report]\n      verdicts: [fire]", "kinds: [rejection, report]"),
    "nobody_concerned": of_notice("{agency: kel}}", "{agency: kell}}"),
    "no_group": of_notice("to: {officers: lurah}", "to: {officers: lura}"),
    "no_verdict": of_notice("verdicts: [fire]", "verdicts: [fires]"),
    "not_reached": of_notice("{email: c@d.example}", "{telegram: x}"),
    "no_address": of_notice("{email: c@d.example}", "{email: dinsos-semarang}"),
    "cel_empty": criterion(" "),
    "cel_deep": criterion("(" * 3000 + "1" + ")" * 3000),
    "cel_ends": criterion("household.decile >"),
    "cel_text": criterion('household.regions == "P'),
    "cel_sign": criterion("household.size >< 3"),
    "cel_instead": criterion("household.decile > 3 and true"),
    "cel_reserved": criterion("for == 2"),
    "cel_other": criterion("has(household)"),
    "speaks_of": criterion("houshold.size > 3"),
    "misspelt": criterion("household.decil < 3"),
    "unheard_of": criterion("household.income < 3"),
    "never_equal": criterion("household.decile == 11"),
    "never_so": criterion("household.decile > 20"),
    "never_at_once": criterion("household.decile > 4 && household.decile < 3"),
    "always_so": criterion("household.decile <= 11"),
    "no_such_field": criterion("household.age < 6"),
    "types": criterion('household.size > 99 && household.size < "4"'),
    "no_function": criterion("sum(household.members) > 1"),
    "function_fails": criterion('int("a") > 1'),
    "by_zero": criterion("1/0 == 1"),
    "beyond_end": criterion("[1][3] == 1"),
    "no_truth": criterion("household.decile"),
    "no_rank": programme("rank_by: household.decile < 3"),
}
"""A policy for each mistake; but for what only the library of CEL could come to say."""


def test_every_mistake_is_provoked() -> None:
    assert set(SAID) - set(PROVOKED) == {"not_evaluated", "never_evaluated"}


def _filled(text: str) -> str:
    """The pattern of a text with its places filled in."""
    return "".join(re.escape(said) + (".*" if field else "") for said, field, _, _ in Formatter().parse(text))


@pytest.mark.parametrize("why", PROVOKED)
def test_every_mistake_is_told_in_both_languages(why: Why) -> None:
    both = BETWEEN.join(_filled(each) for each in SAID[why])
    told = [each for each in check(PROVOKED[why]) if re.fullmatch(both, each.message)]
    assert [each.severity for each in told] == [MILDER.get(why, "mistake")] * max(1, len(told))


def test_what_the_library_says_otherwise_is_said_as_it_says_it() -> None:
    assert [str(told("odd")) for told in (criteria._impossible, criteria._failing)] == [
        "cannot be evaluated: odd / tidak dapat dihitung: odd",
        "cannot be evaluated, whoever is tried: odd / tidak dapat dihitung bagi siapa pun: odd",
    ]


def test_who_reads_a_policy_by_its_shape_is_told_in_both_too() -> None:
    with pytest.raises(ValidationError) as caught:
        from_document({"version": "1", "agencies": [], "programmes": [], "overlap_rules": [], "time_zone": "x"})
    assert [each["msg"] for each in caught.value.errors()] == [str(wrong("time_zone"))]
