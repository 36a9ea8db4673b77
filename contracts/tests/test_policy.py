"""The policy file: what is taken, and that every mistake is told with its line."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tepat_contracts.bilingual import halves
from tepat_contracts.policy import (
    Mistake,
    Policy,
    PolicyError,
    PolicyIndex,
    Quota,
    check,
    from_document,
    kept_since,
    kept_until,
    load,
    notice_routes,
    report_routes,
)

# The contract's own example, its three dots filled in.
CONTRACT = """\
version: "2026-01"
secret_id: main
agencies:
  - {id: dinsos-jateng, name: Dinas Sosial Jawa Tengah, trust_rank: 2, programmes: [PKH], rights: [merge], silent_after: P7D, contact: {email: a@b.example}}
programmes:
  - {code: PKH, name: {id: Program Keluarga Harapan, en: Family Hope Programme}, unit: household, benefit: cash,
     repeatable: false, criteria: "household.decile <= 4", needs_verification: false, basis: "x", effective: {from: 2020-01-01}}
  - {code: BPNT, name: {id: Sembako, en: Food}, unit: household, benefit: food,
     repeatable: false, criteria: "household.decile <= 5", needs_verification: false, basis: "x", effective: {from: 2020-01-01, to: 2027-12-31}}
time_zone: Asia/Jakarta
overlap_rules:
  - {id: pkh-bpnt, programmes: [PKH, BPNT], scope: household, verdict: review, effective: {from: 2020-01-01}, basis: "x", prefer: PKH}
regions: [{code: "33.74.17", name: Baru}]
routes: {default: {email: true}}
"""  # noqa: E501


def changed(old: str, new: str, text: str = CONTRACT) -> str:
    assert old in text
    return text.replace(old, new, 1)


def told(text: str) -> list[tuple[int, str]]:
    return [(mistake.line, f"{mistake.path} {halves(mistake.message)[0]}") for mistake in check(text)]


def only(text: str, line: int, part: str) -> None:
    found = told(text)
    assert len(found) == 1, found
    assert found[0][0] == line
    assert part in found[0][1]


def test_the_contracts_example_and_semarangs_are_without_mistakes(policy_text: str) -> None:
    assert check(CONTRACT) == []
    assert check(policy_text) == []
    policy = load(CONTRACT)
    assert policy.programmes[1].effective.to == date(2027, 12, 31)
    assert policy.agencies[0].silent_after == timedelta(days=7)
    assert policy.overlap_rules[0].effective.from_ == date(2020, 1, 1)


@pytest.mark.parametrize("file", ["contracts/examples/semarang.yaml", "contracts/examples/programmes.yaml",
                                  "demo/tepat_demo/policy.yaml"])  # fmt: skip
def test_every_programme_shown_says_what_it_is_spent_for(file: str) -> None:
    policy = load((Path(__file__).parents[2] / file).read_text())
    assert [each.code for each in policy.programmes if each.strategy is None] == []


def test_a_policy_survives_being_written_and_read(policy_text: str) -> None:
    for text in (CONTRACT, policy_text):
        policy = load(text)
        document = policy.document()
        assert from_document(document) == policy
        assert load(json.dumps(document)) == policy
        assert from_document(json.loads(json.dumps(document))).document() == document
    assert load(CONTRACT).document()["agencies"][0]["silent_after"] == "P7D"
    assert load(CONTRACT).document()["overlap_rules"][0]["effective"] == {"from": "2020-01-01"}


MINIMAL = """\
version: "1"
agencies: [{id: aaa, name: A, programmes: [X]}]
programmes: [{code: X, name: {id: x, en: x}, unit: person}]
overlap_rules: []
"""


def test_retention_is_years_months_or_days() -> None:
    assert load(MINIMAL).retention.payouts == "P10Y"
    assert load(MINIMAL + "retention: {payouts: P5Y, reports: P18M}\n").retention.reports == "P18M"
    assert load(MINIMAL).retention.notices == "P1Y"
    assert load(MINIMAL + "retention: {notices: P90D}\n").retention.notices == "P90D"
    only(MINIMAL + "retention: {notices: 1}\n", 5, "must be years, months or days, as P10Y, P18M or P90D")
    only(MINIMAL + "retention: {payouts: 10 years}\n", 5, "must be years, months or days, as P10Y, P18M or P90D")
    only(MINIMAL + "retention: {payout: P5Y}\n", 5, "did you mean `payouts`?")


def test_terms_of_cases_are_asked_only_where_they_are_told() -> None:
    assert load(MINIMAL).cases.within is load(MINIMAL).cases.waive_alone_up_to is None
    told_ = load(MINIMAL + "cases: {within: P14D, waive_alone_up_to: 1000000}\n")
    assert (told_.cases.within, told_.cases.waive_alone_up_to) == (timedelta(days=14), 1_000_000)
    assert from_document(told_.document()) == told_
    only(MINIMAL + "cases: {within: 14 days}\n", 5, "must be a duration")
    only(MINIMAL + "cases: {within: P2000D}\n", 5, "must be no longer than a year")
    only(MINIMAL + "cases: {waive_alone_up_to: -1}\n", 5, "must be 0 or more")
    only(MINIMAL + "cases: {waive_up_to: 5}\n", 5, "did you mean `waive_alone_up_to`?")


@pytest.mark.parametrize(
    ("period", "day", "since"),
    [
        ("P10Y", "2026-11-22", "2016-11-22"),
        ("P1Y", "2024-02-29", "2023-02-28"),
        ("P1M", "2026-01-31", "2025-12-31"),
        ("P11M", "2026-12-31", "2026-01-31"),
        ("P1M", "2026-03-31", "2026-02-28"),
        ("P90D", "2026-03-31", "2025-12-31"),
        ("P9999Y", "2026-03-31", "0001-01-01"),
        ("P9999D", "0002-03-31", "0001-01-01"),
    ],
)
def test_what_is_kept_begins_a_period_before_the_day(period: str, day: str, since: str) -> None:
    assert kept_since(period, date.fromisoformat(day)) == date.fromisoformat(since)


@pytest.mark.parametrize(
    ("period", "day", "until"),
    [
        ("P10Y", "2016-11-22", "2026-11-22"), ("P1Y", "2024-02-29", "2025-02-28"), ("P1M", "2025-12-31", "2026-01-31"),
        ("P1M", "2026-01-31", "2026-02-28"), ("P90D", "2025-12-31", "2026-03-31"),
        ("P9999Y", "2026-01-01", "9999-12-31"), ("P9999D", "9990-01-01", "9999-12-31"),
    ],
)  # fmt: skip
def test_what_was_on_a_day_is_kept_for_the_period(period: str, day: str, until: str) -> None:
    assert kept_until(period, date.fromisoformat(day)) == date.fromisoformat(until)


def test_what_may_be_left_out_may_be_null() -> None:
    assert load(MINIMAL) == load(
        MINIMAL.replace("programmes: [X]", "programmes: [X], rights: null, contact: null, trust_rank: null")
        + "regions:\nroutes:\n"
    )
    assert load(MINIMAL).secret_id == "main"


@pytest.mark.parametrize("name", ["version", "agencies", "programmes", "overlap_rules"])
def test_what_is_missing_is_told(name: str) -> None:
    document = load(CONTRACT).document()
    del document[name]
    assert any(
        mistake.path == name and mistake.message == "is missing / belum diisi"
        for mistake in check(json.dumps(document))
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ('version: "2026-01"', "version: 2026", 1, "version must be a text: put it in quotes"),
        ('version: "2026-01"', "version: 2026-01-01", 1, "put it in quotes"),
        ('version: "2026-01"', "version: true", 1, "put it in quotes"),
        ('version: "2026-01"', 'version: ""', 1, "version must be"),
        ('version: "2026-01"', 'version: "a\\nb"', 1, "version must be"),
        ('version: "2026-01"', 'version: "2026-01 "', 1, "version must be"),
        ("secret_id: main", "secret_id: ../main", 2, "secret_id must name a secret"),
        ("secret_id: main", "secret_id: seal", 2, "key of the quarantine"),
        ("secret_id: main", "secret: main", 2, "did you mean `secret_id`"),
        ("id: dinsos-jateng", "id: 7", 4, "agencies/0/id must be a text"),
        ("id: dinsos-jateng", "id: Dinsos", 4, "must be an id"),
        ("trust_rank: 2", 'trust_rank: "2"', 4, "trust_rank must be a whole number"),
        ("trust_rank: 2", "trust_rank: 0", 4, "trust_rank must be 1 or more"),
        ("trust_rank: 2", "trust_rank: true", 4, "trust_rank must be a whole number"),
        ("trust_rank: 2", "trust_rnak: 2", 4, "did you mean `trust_rank`"),
        ("rights: [merge]", "rights: [megre]", 4, "agencies/0/rights/0 must be"),
        ("programmes: [PKH], rights", "programmes: [PHK], rights", 4, "did you mean `PKH`"),
        ("programmes: [PKH], rights", "programmes: [PKH, PKH], rights", 4, "named twice"),
        ("P7D", "7", 4, "silent_after must be a duration"),
        ("P7D", "P1M", 4, "must be a duration"),
        ("P7D", "P0D", 4, "must be a duration"),
        ("P7D", "P99999999999D", 4, "must be a duration"),
        ("email: a@b.example", "phone: 0811", 4, "contact/phone must be a text"),
        ("unit: household, benefit: cash", "unit: family, benefit: cash", 6, "programmes/0/unit must be"),
        ("repeatable: false", "strategy: more_income", 7, "programmes/0/strategy must be"),
        ("repeatable: false", 'repeatable: "no"', 7, "repeatable must be true or false"),
        ("household.decile <= 4", "household.decil <= 4", 7, "did you mean `decile`"),
        ("household.decile <= 4", "household.decile <=", 7, "not CEL"),
        ("household.decile <= 4", "household.decile", 7, "true or false"),
        ("from: 2020-01-01, to: 2027-12-31", "from: 2020-01-01, to: 2019-12-31", 9, "ends before it begins"),
        ("to: 2027-12-31", "to: 2027-02-30", 9, "effective/to must be a date that exists"),
        ("to: 2027-12-31", "to: 2027-12-31T10:00:00Z", 9, "must be a date"),
        ("to: 2027-12-31", "to: 2027", 9, "must be a date"),
        ("to: 2027-12-31", "until: 2027-12-31", 9, "is no field of a policy"),
        ("code: BPNT", "code: PKH, x: 1", 8, "x is no field"),
        ("Asia/Jakarta", "Asia/Semarang", 10, "is no time zone"),
        ("Asia/Jakarta", "../../etc/passwd", 10, "is no time zone"),
        ("id: pkh-bpnt", "id: same-programme-same-person", 12, "the rule every policy has"),
        ("[PKH, BPNT]", "[PKH, BPTN]", 12, "did you mean `BPNT`"),
        ("[PKH, BPNT]", "[PKH]", 12, "programmes must list at least 2 entries, and lists 1"),
        ("[PKH, BPNT]", "[PKH, BPNT, PKH]", 12, "programmes must list at most 2 entries, and lists 3"),
        ("scope: household, verdict", "scope: village, verdict", 12, "scope must be"),
        ("verdict: review", "verdict: forbidden", 12, "verdict must be"),
        ("prefer: PKH", "prefer: PIP", 12, "one of the rule's two programmes"),
        (
            '2020-01-01}, basis: "x", prefer',
            '2021-01-01, to: 2020-12-31}, basis: "x", prefer',
            12,
            "ends before it begins",
        ),
        ('code: "33.74.17"', "code: 33.74", 13, "must be a text: put it in quotes"),
        ('code: "33.74.17"', 'code: "3374"', 13, "for an area digits and dots"),
        ("routes: {default", "routes: {2026-01-01", 14, "key that is not a text"),
        ("email: true}}", "email: .nan}}", 14, "JSON cannot carry"),
        ("email: true}}", "email: 2026-01-01}}", 14, "JSON cannot carry"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, part: str) -> None:
    found = told(changed(old, new))
    assert any(at == line and part in message for at, message in found), found
    with pytest.raises(PolicyError) as caught:
        load(changed(old, new))
    assert caught.value.mistakes == check(changed(old, new))


def programme(more: str, text: str = CONTRACT) -> list[tuple[int, str, str]]:
    """What is told, with its severity, where these fields stand beside the others of the first programme, line 7."""
    old = 'criteria: "household.decile <= 4"'
    return [(each.line, f"{each.path} {each.message}", each.severity) for each in check(changed(old, more, text))]


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ("criteria: 'household.members.exists(m, person.age > 3)'", "criteria asks for `person`, which a programme of"),
        ('criteria: "true", rank_by: person.age', "rank_by asks for `person`"),
        ('criteria: [{code: a, name: {id: a, en: a}, expression: "person.age > 3"}]', "criteria/0/expression asks for"),
        ("criteria: 'household.regions == \"33\"'", "`regions`, which is a list of texts, with \"33\""),
        ("criteria: 'household.members.exists(m, m.sex == \"F\")'", "which is L or P"),
        ("criteria: 'household.size > 99 && household.size == \"4\"'", "which is a whole number"),
        ("criteria: 'household.size > 99 && household.size < \"4\"'", "cannot be evaluated"),
        ("criteria: 'household.members.exists(m, \"buta\" in m.ppks)'", "a code of the 26 categories"),
        ('criteria: [{code: a, name: {id: a}, expression: "true"}]', "criteria/0/name/en is missing"),
        ('criteria: [{code: a, name: {id: a, en: a}, expresion: "true"}]', "did you mean `expression`?"),
        ('criteria: [{code: a, name: {id: a, en: a}, expression: "household.decil < 3"}]', "did you mean `decile`?"),
        ('criteria: [{code: a, name: {id: a, en: a}, expression: "true"}, {code: a, name: {id: a, en: a}, '
         'expression: "true"}]', "criteria/1/code is named twice"),
        ("criteria: []", "criteria must not be empty"),
        ("criteria: [household.size > 3]", "criteria/0 must be a mapping of fields"),
        ("criteria: 5", "criteria must be a text"),
        ('criteria: "true", named_criteria: [{code: a, name: {id: a, en: a}, expression: "false"}]', "says otherwise"),
        ("criteria: household.score < 3", "but this policy has no `score`"),
        ('criteria: [{code: a, name: {id: a, en: a}, expression: "household.decile > 4"}, '
         '{code: b, name: {id: a, en: a}, expression: "household.decile < 3"}]', "criteria asks for `household.decile"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_a_programme_asks_for_is_told(more: str, part: str) -> None:
    found = programme(more)
    assert any(line == 7 and part in message and severity == "mistake" for line, message, severity in found), found
    assert all("named_criteria" not in message for _, message, _ in found) or "named_criteria" in more


def test_criteria_may_be_named_and_are_the_same_joined_by_and() -> None:
    text = changed(
        'criteria: "household.decile <= 4"',
        """criteria: [{code: poor, name: {id: Miskin, en: Poor}, expression: household.decile <= 4 // or so},
        {code: many, name: {id: Besar, en: Large}, expression: household.size > 2 || household.children > 1}]""",
    )
    assert check(text) == []
    pkh = load(text).programmes[0]
    assert pkh.criteria == "(household.decile <= 4 // or so\n) && (household.size > 2 || household.children > 1)"
    assert [each.code for each in pkh.named_criteria] == ["poor", "many"]
    document = load(text).document()
    assert check(json.dumps(document)) == []
    assert load(json.dumps(document)) == from_document(document) == load(text)


def paying(*components: str) -> list[tuple[int, str, str]]:
    """What is told of a programme that pays for these components, each a line from line 8 on."""
    listed = ",\n".join(f"       {{code: c{n}, name: {{id: c, en: c}}, {each}}}" for n, each in enumerate(components))
    return programme(f'criteria: "true", period: month, components: [\n{listed}]')


def test_a_component_that_is_never_due_is_told() -> None:
    old, older = 'criteria: "person.age >= 60", amount: 5', 'criteria: "person.age >= 75", amount: 4'
    found = paying(older, old)
    assert [(line, severity) for line, _, severity in found] == [(8, "advice")]
    assert "components/0/criteria is never due: whoever meets it meets `c1` too" in found[0][1]
    assert paying(older.replace("amount: 4", "amount: 6"), old) == []
    same = 'criteria: "person.pregnant", amount: 5'
    assert [line for line, *_ in paying(same, same)] == [9]
    assert paying('criteria: "person.pregnant", amount: 5', 'criteria: "person.age <= 6", amount: 5') == []
    then, now = ('criteria: "person.age >= 60 && today.getFullYear() > 2021", amount: 5',
                 'criteria: "person.age >= 70 && today.getFullYear() <= 2021", amount: 5')  # fmt: skip
    assert paying(then, now) == []


SCORE = """\
score:
  code: pmt
  name: {id: Proksi, en: Proxy}
  intercept: 3
  variables:
    - {code: a, name: {id: a, en: a}, value: household.size, weight: -2.5}
    - {code: b, name: {id: b, en: b}, value: household.elderly > 0, weight: 4}
  deciles: [1, 2, 3, 4, 5, 6, 7, 8, 9.5]
"""


def test_a_score_is_declared_and_asked_for() -> None:
    text = changed('criteria: "household.decile <= 4"', "criteria: household.score_decile <= 4", CONTRACT + SCORE)
    assert check(text) == []
    score = load(text).score
    assert score is not None
    assert (score.intercept, [each.weight for each in score.variables]) == (3.0, [-2.5, 4.0])
    assert from_document(load(text).document()) == load(text)
    assert [(each.line, each.severity) for each in check(CONTRACT + SCORE)] == [(15, "advice")]


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("value: household.size", "value: person.age", 20, "but a score is a household's"),
        ("value: household.size", "value: household.score", 20, "asks for the score itself"),
        ("value: household.size", "value: household.regions", 20, "must come out as a number"),
        ("value: household.size", "value: household.sise", 20, "did you mean `size`?"),
        ("code: b,", "code: a,", 21, "named twice"),
        ("weight: 4", 'weight: "4"', 21, "weight must be a number"),
        ("weight: 4", "weight: .inf", 21, "weight must be a finite number"),
        ("weight: 4", "wieght: 4", 21, "did you mean `weight`?"),
        ("8, 9.5]", "8, 8]", 22, "must ascend"),
        ("8, 9.5]", "8]", 22, "deciles"),
    ],
)
def test_a_mistake_in_a_score_is_told_with_its_line(old: str, new: str, line: int, part: str) -> None:
    text = changed('criteria: "household.decile <= 4"', "criteria: household.score_decile <= 4", CONTRACT + SCORE)
    found = told(changed(old, new, text))
    assert any(at == line and part in message for at, message in found), found


def test_one_mistake_is_told_once() -> None:
    only(changed("verdict: review", "verdict: revue"), 12, "verdict")
    only(changed("prefer: PKH", "prefer: 5"), 12, "prefer")
    only(changed("id: pkh-bpnt", "id: 5"), 12, "id")


def test_ids_are_any_text() -> None:
    for name in ("é-ü", "a b", "a|b", "Ω", "x" * 128, "01"):
        assert check(changed("id: pkh-bpnt", f'id: "{name}"')) == []
        assert check(CONTRACT.replace("PKH", f'"{name}"')) == []
    assert check(changed("P7D", "PT0.5S")) == []
    assert check(changed("secret_id: main", "secret_id: Main_2")) == []


def test_all_mistakes_are_told_in_order() -> None:
    text = changed('"2026-01"', "2026", changed("Asia/Jakarta", "Nowhere", changed("prefer: PKH", "prefer: PIP")))
    text = changed("household.decile <= 4", "household.income < 5", text)
    assert [line for line, _ in told(text)] == [1, 7, 10, 12]


def test_a_key_that_stands_twice_is_told_where_it_stands_again() -> None:
    only(CONTRACT + "secret_id: main\n", 15, "stands twice")
    only(changed("scope: household, verdict", "scope: household, scope: household, verdict"), 12, "scope stands twice")


RULE = "  - {id: pkh-bpnt, programmes: [PKH, BPNT], scope: household, verdict: review, effective: {from: 2020-01-01}"


@pytest.mark.parametrize(
    ("rule", "clash"),
    [
        ("{id: b, programmes: [BPNT, PKH], scope: household, verdict: exclusive}", True),
        (
            "{id: b, programmes: [PKH, BPNT], scope: household, verdict: complementary, effective: {from: 2025-01-01}}",
            True,
        ),
        ("{id: b, programmes: [PKH, BPNT], scope: household, verdict: exclusive, effective: {to: 2020-01-01}}", True),
        ("{id: b, programmes: [PKH, BPNT], scope: household, verdict: exclusive, effective: {to: 2019-12-31}}", False),
        ("{id: b, programmes: [PKH, BPNT], scope: person, verdict: exclusive}", False),
        ("{id: b, programmes: [PKH, PKH], scope: household, verdict: exclusive}", False),
    ],
)
def test_rules_that_contradict_one_another(rule: str, clash: bool) -> None:
    text = CONTRACT.replace("regions:", f"  - {rule}\nregions:")
    if clash:
        only(text, 13, "contradicts the rule of line 12")
    else:
        assert check(text) == []


def rules(*more: str, text: str = CONTRACT) -> list[tuple[int, str]]:
    """What is told of a policy with these rules from line 13 on."""
    return told(text.replace("regions:", "".join(f"  - {rule}\n" for rule in more) + "regions:"))


SAME = "programmes: [BPNT, PKH], scope: household"


@pytest.mark.parametrize(
    ("more", "line", "part"),
    [
        ([f"{{id: zz, {SAME}, verdict: review, effective: {{from: 2021-01-01}}}}"], 13, "(line 12)"),
        ([f"{{id: b, {SAME}, verdict: review}}"], 12, "(line 13)"),
        (
            [
                f"{{id: b, {SAME}, verdict: review, effective: {{from: 2020-01-01, to: 2024-12-31}}}}",
                f"{{id: c, {SAME}, verdict: review, effective: {{from: 2024-06-01}}}}",
            ],
            12,
            "(line 13, 14)",
        ),
        (["{id: z, programmes: [PKH, PKH], scope: person, verdict: exclusive}"], 13, "`repeatable: true`"),
        (["{id: a, programmes: [PKH, PKH], scope: person, verdict: review}"], 13, "`repeatable: true`"),
    ],
)
def test_a_rule_that_never_decides_is_told(more: list[str], line: int, part: str) -> None:
    found = rules(*more)
    assert [at for at, _ in found] == [line]
    assert "never decides" in found[0][1]
    assert part in found[0][1]


def test_a_weaker_rule_that_never_decides_is_told_with_what_contradicts_it() -> None:
    found = rules(f"{{id: b, {SAME}, verdict: exclusive}}")
    assert [at for at, _ in found] == [13]
    assert found[0][1].endswith("the stronger verdict wins, and the rule of line 12 never decides")
    found = rules(f"{{id: b, {SAME}, verdict: complementary, effective: {{from: 2021-01-01}}}}")
    assert found[0][1].endswith("and the rule of line 13 never decides")
    found = rules(f"{{id: b, {SAME}, verdict: exclusive, effective: {{to: 2020-01-01}}}}")
    assert found[0][1].endswith("the stronger verdict wins")


@pytest.mark.parametrize(
    "more",
    [
        [f"{{id: zz, {SAME}, verdict: review, effective: {{to: 2020-01-01}}}}"],
        [f"{{id: zz, {SAME}, verdict: review, effective: {{from: 2019-12-31}}}}"],
        ["{id: zz, programmes: [BPNT, PKH], scope: person, verdict: review}"],
        ["{id: a, programmes: [PKH, PKH], scope: person, verdict: exclusive}"],
        ["{id: zz, programmes: [PKH, PKH], scope: household, verdict: exclusive}"],
        [f"{{id: zz, {SAME}, verdict: review, effective: {{to: 2019-12-31}}}}"],
    ],
)
def test_a_rule_that_decides_on_some_day_is_not(more: list[str]) -> None:
    assert rules(*more) == []


def test_repeatable_programmes_may_have_rules_of_their_own() -> None:
    text = changed("repeatable: false", "repeatable: true")
    assert rules("{id: z, programmes: [PKH, PKH], scope: person, verdict: review}", text=text) == []


DATED = st.tuples(
    st.integers(0, 6), st.integers(0, 6), st.sampled_from(["exclusive", "review"]), st.sampled_from("abcx")
)


@settings(deadline=None)  # a whole policy is checked each time
@given(st.lists(DATED, min_size=1, max_size=4, unique_by=lambda rule: rule[3]))
def test_who_never_decides_is_who_wins_on_no_day(rules_: list[tuple[int, int, str, str]]) -> None:
    """Against every day looked at alone."""
    first = date(2020, 1, 1)
    dated = [
        (first + timedelta(min(a, b)), first + timedelta(max(a, b)), verdict, name) for a, b, verdict, name in rules_
    ]
    text = CONTRACT[: CONTRACT.index("  - {id: pkh-bpnt")] + "".join(
        f"  - {{id: {name}, {SAME}, verdict: {verdict}, effective: {{from: {start}, to: {end}}}}}\n"
        for start, end, verdict, name in dated
    )
    deciding = set()
    for n in range(7):
        day = first + timedelta(n)
        deciding |= {min([(verdict, name) for s, e, verdict, name in dated if s <= day <= e], default=("", ""))[1]}
    found = told(text)
    lines = {line for line, message in found if "/id never decides" in message}
    lines |= {
        int(words.split("rule of line ")[-1].split()[0]) for _, words in found if words.endswith(" never decides")
    }
    assert lines == {12 + n for n, (_, _, _, name) in enumerate(dated) if name not in deciding}
    days = {n for s, e, _, _ in dated for n in range((s - first).days, (e - first).days + 1)}
    gaps = len([n for n in days if n + 1 not in days]) - 1
    assert len([words for _, words in found if "without a rule" in words]) == gaps


@pytest.mark.parametrize(
    ("dates", "gap"),
    [
        (["{from: 2015-01-01, to: 2018-12-31}"], "2019-01-01 to 2019-12-31"),
        (["{from: 2015-01-01, to: 2019-12-31}"], None),
        (["{to: 2018-12-31}", "{from: 2018-06-01, to: 2019-12-30}"], "2019-12-31 to 2019-12-31"),
        (["{to: 2018-12-31}", "{from: 2019-01-01, to: 2019-12-31}"], None),
    ],
)
def test_days_between_two_versions_of_a_rule_are_told(dates: list[str], gap: str | None) -> None:
    found = rules(*(f"{{id: v{n}, {SAME}, verdict: exclusive, effective: {days}}}" for n, days in enumerate(dates)))
    assert [line for line, _ in found] == ([] if gap is None else [12])
    assert gap is None or f"leaves {gap} without a rule" in found[0][1]


def test_days_that_a_rule_of_the_other_scope_has_are_no_gap() -> None:
    before = f"{{id: v, {SAME}, verdict: exclusive, effective: {{to: 2018-12-31}}}}"
    assert len(rules(before)) == 1
    assert rules(before, "{id: w, programmes: [PKH, BPNT], scope: person, verdict: review}") == []


def test_a_rule_that_begins_when_its_programme_has_ended_is_told() -> None:
    only(
        changed("to: 2027-12-31", "to: 2019-12-31", changed("from: 2020-01-01, to", "from: 2018-01-01, to")),
        12,
        "`BPNT` has ended",
    )


def test_ids_and_codes_stand_once() -> None:
    again = "  - {id: pkh-bpnt, programmes: [PKH, PKH], scope: household, verdict: review}\n"
    only(CONTRACT.replace("regions:", again + "regions:"), 13, "named twice")
    twice = changed("code: BPNT, name: {id: Sembako", "code: PKH, name: {id: Sembako")
    only(twice.replace("[PKH, BPNT]", "[PKH, PKH]"), 8, "named twice")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "{",
        "a: [",
        '"x',
        "a: *b",
        "&a [*a]",
        "&a {x: *a}",
        "[" * 5000,
        "\x00",
        "a: !!python/object:os.system x",
        'version: "a"\n---\nb: 1',
        "? [a]\n: b\n",
        "\ufffe",
        "%YAML 9.9\n---\na: 1",
        "a: !!timestamp x",
        "- - -\n\t- x",
        "a: !!binary x",
        "a: &x [1]\nb: !!set {*x, *x}",
        "!!omap [a: 1]",
    ],
)
def test_what_is_no_policy_is_told_and_does_no_harm(text: str) -> None:
    found = check(text)
    assert found
    assert all(mistake.line >= 1 and mistake.column >= 1 and mistake.message for mistake in found)


def test_a_file_that_unfolds_to_millions_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    found = check("\n".join(lines))
    assert [halves(mistake.message)[0] for mistake in found] == ["is nested too deeply or too large"]


@given(st.text(alphabet=st.sampled_from("ab:{}[]-,\"' \n&*!|>#%@`0123456789."), max_size=60))
def test_no_text_raises(text: str) -> None:
    check(text)
    check(CONTRACT[:200] + text + CONTRACT[200:])


def test_a_mistake_reads_as_a_sentence() -> None:
    assert str(Mistake(3, 5, "version", "is missing")) == "line 3, column 5: version is missing"


def test_a_service_reads_newer_policies_by_shape_alone() -> None:
    document = load(CONTRACT).document()
    assert from_document(document | {"novelty": 1}) == load(CONTRACT)
    contradictory = document | {"programmes": []}
    assert isinstance(from_document(contradictory), Policy)
    shapeless: list[Any] = [{}, [], None, document | {"version": 5}, document | {"agencies": {}}]
    for wrong in shapeless:
        with pytest.raises(ValidationError):
            from_document(wrong)


def test_the_index_answers_what_services_ask(policy_text: str) -> None:
    index = PolicyIndex(load(policy_text))
    assert index.version == "2026-01"
    dinsos = index.agencies["dinsos-jateng"]
    assert (dinsos.programmes, dinsos.trust_rank, dinsos.silent_after) == (frozenset({"PKH"}), 2, timedelta(days=7))
    assert "merge" in dinsos.rights
    assert index.repeatable == {"SB"}
    assert "33.74.01.1001" in index.regions
    assert PolicyIndex(load(CONTRACT)).regions["33.74.17"] == "Baru"


DAYS = st.none() | st.dates(min_value=date(2020, 1, 1), max_value=date(2020, 1, 9))


@given(DAYS, DAYS, DAYS, DAYS)
def test_two_ranges_meet_where_some_day_lies_in_both(
    a: date | None, b: date | None, c: date | None, d: date | None
) -> None:
    def ranged(first: date | None, last: date | None) -> Any:
        rule = {
            "id": "r",
            "programmes": ["X", "X"],
            "scope": "person",
            "verdict": "review",
            "effective": {"from": first, "to": last},
        }
        document = {"version": "1", "agencies": [], "programmes": [], "overlap_rules": [rule]}
        return from_document(document).overlap_rules[0].effective

    one, other = ranged(a, b), ranged(c, d)
    days = [date(2019, 12, 1) + timedelta(days=n) for n in range(90)]
    assert one.meets(other) == any(one.holds(day) and other.holds(day) for day in days)


# --- a quota ----------------------------------------------------------------------------------------------------


def test_a_quota_is_a_number_or_packages_for_each_area_of_a_level() -> None:
    plain = Quota.of(100)
    assert plain is not None
    assert [plain.places(region) for region in ("33", "33.74.01.1001")] == [100, 100]
    each = Quota.of({"packages": 100, "per": "kelurahan"})
    assert each is not None
    assert [each.places(region) for region in ("33", "33.74", "33.74.01", "33.74.01.1001")] == [None, None, None, 100]


@pytest.mark.parametrize("quota", [0, -1, True, 1.5, "100", {"per": "kelurahan"}, {"packages": 1, "per": "RT"}, [100]])
def test_a_quota_of_any_other_shape_is_taken_and_told_to_be_of_no_use(quota: object) -> None:
    text = changed("needs_verification: false,", f"needs_verification: false, quota: {json.dumps(quota)},")
    ((line, said),) = told(text)
    assert line == 7
    assert said.startswith("programmes/0/quota is not used in ranking")
    assert load(text).programmes[0].quota == quota
    assert Quota.of(quota) is None


@pytest.mark.parametrize(
    ("regions", "severity", "part"),
    [
        ('["33.74", "35.75.02"]', None, ""),
        ('["33.74.17"]', None, ""),  # of the policy's own list
        ('["33.99"]', "mistake", "regions/0 is no area that is known"),
        ('["33.74", "33.74"]', "mistake", "regions/1 is named twice"),
        ('["33.74.01", "33.74"]', "advice", "regions/0 is within another area of this programme"),
        ("[33.74]", "mistake", "regions/0 must be a text: put it in quotes"),
        ('["3374"]', "mistake", "regions/0 must hold codes of areas"),
    ],
)
def test_where_a_programme_runs_is_areas_that_are_known(regions: str, severity: str | None, part: str) -> None:
    found = programme(f'criteria: "household.decile <= 4", regions: {regions}')
    assert [each[2] for each in found] == ([severity] if severity else [])
    assert all(part in each[1] for each in found)


def test_a_programme_runs_everywhere_unless_it_says_where() -> None:
    assert load(CONTRACT).programmes[0].regions == []


def test_what_is_always_so_is_advice() -> None:
    [(line, said, severity)] = programme('criteria: "household.decile <= 11"')
    assert (line, severity) == (7, "advice")
    assert "always so" in said


def test_only_rank_by_may_speak_of_those_left_out() -> None:
    assert told(changed("needs_verification: false,", 'rank_by: "household.elderly * 10 + left_out",')) == []
    ((_, said),) = told(changed("household.decile <= 4", "left_out > 1"))
    assert "`left_out`" in said


REPORTS = (
    MINIMAL.replace("agencies: [{", "agencies: [{id: kel, name: K, programmes: []}, {")
    + """\
routes:
  digest_at: "07:00"
  reports:
    neighbours: {within: P2D, institutions: [WKSBM], kinds: [unserved_poor]}
    steps:
      - {step: kelurahan, within: P1D, resolve: P7D}
      - {step: province, within: P7D}
    in_charge:
      - {step: kelurahan, agency: kel, region: "33.74"}
      - {step: province, agency: aaa}
      - {step: province, agency: kel, kinds: [fire, flood], within: PT2H}
"""
)


def test_how_reports_go_is_read_as_written() -> None:
    assert check(REPORTS) == []
    policy = load(REPORTS)
    told = report_routes(from_document(policy.document()).routes)
    assert told is not None
    assert [(terms.step, terms.within, terms.resolve) for terms in told.steps] == [
        ("kelurahan", timedelta(days=1), timedelta(days=7)), ("province", timedelta(days=7), None),
    ]  # fmt: skip
    assert told.in_charge[2].within == timedelta(hours=2)


@pytest.mark.parametrize("routes", [None, {}, [], "x", {"reports": None}, {"reports": "later"}, {"reports": {"a": 1}}])
def test_other_routes_still_load(routes: Any) -> None:
    document = load(MINIMAL).document() | {"routes": routes}
    assert report_routes(from_document(document).routes) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("within: P2D", "within: 2", 8, "within must be a duration"),
        ("within: P2D", "within: P400D", 8, "within must be no longer than a year"),
        ("kinds: [unserved_poor]", "kinds: [poor]", 8, "kinds/0 must be"),
        ("institutions:", "institution:", 8, "did you mean `institutions`"),
        ("step: kelurahan, within", "step: kelurahn, within", 10, "step must be"),
        ("step: province, within: P7D}", "step: rt, within: P7D}", 11, "must come before kelurahan"),
        ("step: province, within: P7D}", "step: kelurahan, within: P7D}", 11, "must come before kelurahan"),
        ("resolve: P7D", "resolves: P7D", 10, "did you mean `resolve`"),
        ("agency: kel, region", "agency: kell, region", 13, "no agency of this policy; did you mean `kel`"),
        ('"33.74"', '"33.99"', 13, "no area that is known"),
        ('"33.74"', '"3374"', 13, "region must"),
        ("step: kelurahan, agency", "step: kota, agency", 13, "none of the `steps`"),
    ],
)
def test_a_mistake_in_how_reports_go_is_told_with_its_line(old: str, new: str, line: int, part: str) -> None:
    found = check(changed(old, new, REPORTS))
    assert any(each.line == line and part in f"{each.path} {each.message}" for each in found), found
    with pytest.raises(PolicyError):
        load(changed(old, new, REPORTS))


NOTICES = (
    MINIMAL.replace("agencies: [{", "agencies: [{id: kel, name: K, programmes: []}, {")
    + """\
routes:
  recipients:
    lurah:
      - {name: Miroto, role: lurah, region: "33.74.01.1001", contact: {phone: "08123456", email: a@b.id}, language: id}
      - {name: Sekayu, role: lurah, contact: {email: c@d.example}}
  notices:
    - kinds: [report]
      verdicts: [fire]
      to: {officers: lurah}
      channel: [sms, email]
      quiet: {from: "21:00", to: "06:00"}
      at_most_a_day: 5
      acknowledge: {within: PT4H, then: [{to: {agency: kel}}, {to: {agency: concerned}, channel: [email]}]}
    - {kinds: [overlap, case], to: {agency: concerned}, at_least: 100000, region: "33.74", when: digest}
"""
)


def test_who_is_told_what_is_read_as_written() -> None:
    assert check(NOTICES) == []
    told = notice_routes(from_document(load(NOTICES).document()).routes)
    first, second = told.notices
    assert first.quiet is not None
    assert (first.quiet.from_, first.quiet.to, first.channel) == ("21:00", "06:00", ["sms", "email"])
    assert first.acknowledge is not None
    assert first.acknowledge.within == timedelta(hours=4)
    assert [level.to.agency for level in first.acknowledge.then] == ["kel", "concerned"]
    assert (second.at_least, second.region, second.when, second.channel) == (100_000, "33.74", "digest", ["email"])
    assert [officer.name for officer in told.recipients["lurah"]] == ["Miroto", "Sekayu"]


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("kinds: [report]", "kinds: [rumour]", 11, "kinds/0 must be"),
        ("verdicts: [fire]", "verdicts: [fires]", 12, "is told by no report; did you mean `fire`?"),
        ("to: {officers: lurah}", "to: {officers: lura}", 13, "no group of `routes.recipients`; did you mean `lurah`?"),
        ("to: {officers: lurah}", "to: {officers: lurah, agency: kel}", 13, "one of `agency` and `officers`"),
        ("to: {officers: lurah}", "to: {}", 13, "one of `agency` and `officers`"),
        ('from: "21:00"', 'from: "24:00"', 15, 'must be an hour in quotes, as "21:00"'),
        ('from: "21:00"', 'from: "06:00"', 15, "is quiet never, or always"),
        ("at_most_a_day: 5", "at_most_a_day: 0", 16, "at_most_a_day must be"),
        ("within: PT4H", "within: 4", 17, "within must be a duration"),
        ("{agency: kel}}", "{agency: kell}}", 17, "no agency of this policy, and not `concerned`; did you mean `kel`?"),
        ("when: digest", "wen: digest", 18, "did you mean `when`?"),
        ('region: "33.74", when', 'region: "33.99", when', 18, "no area that is known"),
        ("at_least: 100000", "programmes: [XXX]", 18, "is no programme of this policy"),
        ("role: lurah, contact", "role: camat, contact", 9, "role must be"),
        ("name: Sekayu", "name: Miroto", 9, "is named twice"),
        ("33.74.01.1001", "33.74.99.1001", 8, "no area that is known"),
    ],
)
def test_a_mistake_in_who_is_told_is_told_with_its_line(old: str, new: str, line: int, part: str) -> None:
    found = check(changed(old, new, NOTICES))
    assert any(each.line == line and part in f"{each.path} {each.message}" for each in found), found
    with pytest.raises(PolicyError):
        load(changed(old, new, NOTICES))


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("{email: c@d.example}", "{telegram: x}", 9, "is not reached: the contact has no `phone` or `email`"),
        ("to: {officers: lurah}", "to: {agency: kel}", 7, "is told nothing"),
        ("kinds: [report]\n      verdicts: [fire]", "kinds: [rejection]", 11, "in the digest whatever `when` says"),
    ],
)
def test_what_is_hardly_meant_of_who_is_told_is_advice(old: str, new: str, line: int, part: str) -> None:
    ((at, said, severity),) = [(each.line, each.message, each.severity) for each in check(changed(old, new, NOTICES))]
    assert (at, severity) == (line, "advice")
    assert part in said


@pytest.mark.parametrize("routes", ["notices: {}", "recipients: []", "recipients: {a: []}", "recipients: {a: 1}"])
def test_lists_that_are_none_are_told(routes: str) -> None:
    assert "mistake" in [each.severity for each in check(f"{MINIMAL}routes:\n  {routes}\n")]


def test_one_mistake_in_how_reports_go_hides_no_other() -> None:
    text = changed("within: P2D", "within: soon", REPORTS)
    text = changed("step: province, within: P7D}", "step: rt, within: P7D}", text)
    text = changed("agency: kel, region", "agency: nobody, region", changed('"33.74"', '"99.99"', text))
    assert [(each.line, each.path.rpartition("/")[2]) for each in check(text)] == [
        (8, "within"), (11, "step"), (13, "agency"), (13, "region"), (14, "step"), (15, "step"),
    ]  # fmt: skip


def test_what_reports_nobody_has_charge_of_is_advice() -> None:
    only(changed("agency: kel, region", "agency: kel, kinds: [fire], region", REPORTS), 10, "is passed at once: nobody")
    alone = REPORTS.replace("      - {step: province, agency: aaa}\n", "")
    found = [(each.line, each.severity) for each in check(alone)]
    assert found == [(11, "advice"), (14, "advice")], check(alone)
    nobody = changed("step: kelurahan, agency: kel", "step: province, agency: kel", REPORTS)
    assert "any report" in str(check(nobody)[0])
    twice = REPORTS + "      - {step: province, agency: aaa, kinds: [fire]}\n"
    [told] = check(twice)
    assert (told.line, told.severity) == (16, "contradiction")
    load(twice)


ADOPTION = changed(
    "BPNT, name: {id: Sembako, en: Food}, unit: household, benefit: food,\n     repeatable: false,",
    "BPNT, name: {id: Sembako, en: Food}, unit: household, benefit: food, adoption: {targets: [\n"
    "     {by: 2023-09-30, kelurahan: 89},\n     {by: 2023-12-31, kelurahan: 100}]},\n     repeatable: true,",
).replace("verdict: review", "verdict: complementary")


def test_targets_of_adoption_follow_one_another() -> None:
    assert check(ADOPTION) == []
    (programme,) = [each for each in load(ADOPTION).programmes if each.adoption is not None]
    assert [(str(each.by), each.kelurahan) for each in programme.adoption.targets] == [
        ("2023-09-30", 89), ("2023-12-31", 100),
    ]  # fmt: skip
    assert from_document(load(ADOPTION).document()) == load(ADOPTION)
    only(changed("2023-12-31", "2023-09-30", ADOPTION), 10, "by must come after 2023-09-30")
    only(changed("kelurahan: 100", "kelurahan: 0", ADOPTION), 10, "kelurahan must be 1 or more")
    only(changed("kelurahan: 100", "kelurahan: 80", ADOPTION), 10, "asks for fewer than the 89")
    assert {each.severity for each in check(changed("kelurahan: 100", "kelurahan: 80", ADOPTION))} == {"advice"}


def test_what_neighbours_give_should_not_be_held_as_an_overlap() -> None:
    only(changed("verdict: complementary", "verdict: review", ADOPTION), 14, "community aid tops up")
    only(changed("repeatable: true", "repeatable: false", ADOPTION), 8, "neighbours, who may help twice")
