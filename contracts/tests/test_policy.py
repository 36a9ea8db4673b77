"""The policy file: what is taken, and that every mistake is told with its line."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tepat_contracts.policy import (
    Mistake,
    Policy,
    PolicyError,
    PolicyIndex,
    check,
    from_document,
    load,
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
    return [(mistake.line, f"{mistake.path} {mistake.message}") for mistake in check(text)]


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
    assert any(mistake.path == name and mistake.message == "is missing" for mistake in check(json.dumps(document)))


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
        ("trust_rank: 2", 'trust_rank: "2"', 4, "trust_rank must be a valid integer"),
        ("trust_rank: 2", "trust_rank: 0", 4, "trust_rank must be greater"),
        ("trust_rank: 2", "trust_rank: true", 4, "trust_rank must be a valid integer"),
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
        ("repeatable: false", 'repeatable: "no"', 7, "repeatable must be a valid boolean"),
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
        ("[PKH, BPNT]", "[PKH]", 12, "programmes"),
        ("[PKH, BPNT]", "[PKH, BPNT, PKH]", 12, "programmes"),
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
        ("{id: b, programmes: [PKH, BPNT], scope: household, verdict: review}", False),
        ("{id: b, programmes: [PKH, PKH], scope: household, verdict: exclusive}", False),
    ],
)
def test_rules_that_contradict_one_another(rule: str, clash: bool) -> None:
    text = CONTRACT.replace("regions:", f"  - {rule}\nregions:")
    if clash:
        only(text, 13, "contradicts the rule of line 12")
    else:
        assert check(text) == []


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
    assert [mistake.message for mistake in found] == ["is nested too deeply or too large"]


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
