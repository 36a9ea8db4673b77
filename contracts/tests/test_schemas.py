"""The published files: made by the code as it is, whole, and never broken."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tepat_contracts import compat, examples, schemas
from tepat_contracts.events.ours import OUTBOUND
from tepat_contracts.policy import from_document

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def files() -> dict[str, Schema]:
    return schemas.documents()


def test_what_is_committed_is_what_the_code_makes(files: dict[str, Schema]) -> None:
    """Run `make schemas` after a change of an event; it refuses one that breaks."""
    on_disk = {path.name: path.read_text("utf-8") for path in schemas.FOLDER.glob("*.json")}
    assert on_disk == {name: schemas.rendered(document) for name, document in files.items()}


def test_what_the_code_makes_does_not_break_with_what_is_committed(files: dict[str, Schema]) -> None:
    assert compat.breaks(schemas.committed(), files) == []


def test_every_example_of_ours_fits_its_schema() -> None:
    assert set(examples.OUTBOUND_DATA) == set(OUTBOUND)
    for type_name, event in OUTBOUND.items():
        TypeAdapter(event.data).validate_json(json.dumps(examples.OUTBOUND_DATA[type_name]))
    from_document(examples.OUTBOUND_DATA["tepat.policy.applied.v1"])


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def resolved(reference: str, root: Schema) -> Any:
    part: Any = root
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def test_every_reference_leads_somewhere(files: dict[str, Schema]) -> None:
    for document in files.values():
        for reference in references(document):
            if reference.startswith("./"):
                assert reference.removeprefix("./") in files
            else:
                assert resolved(reference, document)


def test_the_asyncapi_document_has_the_shape_of_version_3(files: dict[str, Schema]) -> None:
    document = files["asyncapi.json"]
    assert set(document) <= {
        "asyncapi",
        "id",
        "info",
        "servers",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    }
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    named = re.compile(r"^[A-Za-z0-9._-]+$")
    for name, channel in document["channels"].items():
        assert named.match(name)
        extra = {key for key in channel if not key.startswith("x-")}
        assert extra <= {"address", "title", "summary", "description", "servers", "parameters", "messages", "bindings"}
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel.get("parameters", {}))
        assert channel["messages"]
        kafka = channel["bindings"]["kafka"]
        assert kafka["partitions"] == (
            1 if channel["address"] in ("policy.v1", "registry.progress.v1", "eligibility.progress.v1") else 12
        )
        assert kafka["topicConfiguration"]["cleanup.policy"] in (["delete"], ["compact"])
    used = set()
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel_reference = operation["channel"]["$ref"]
        assert channel_reference.startswith("#/channels/")
        used.add(channel_reference.removeprefix("#/channels/"))
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel_reference}/messages/")
    assert used == set(document["channels"])
    on_topics = {name for channel in document["channels"].values() for name in channel["messages"]}
    assert on_topics == set(document["components"]["messages"]) == set(schemas.inbound_types()) | set(OUTBOUND)
    for message in document["components"]["messages"].values():
        assert message["examples"][0]["payload"]["type"] == message["name"]
        assert message["payload"]["schemaFormat"].startswith("application/schema+json")


def test_every_example_matches_the_published_patterns(files: dict[str, Schema]) -> None:
    for name, schema in files.items():
        if name != "asyncapi.json":
            for example in schema["examples"]:
                fits(example, schema, schema)


def fits(value: Any, schema: Schema, root: Schema) -> None:
    """As much of JSON Schema as ours use, to see that what is published agrees with what is taken."""
    if "$ref" in schema:
        fits(value, resolved(schema["$ref"], root), root)
        return
    if "anyOf" in schema:
        assert any(accepts(value, alternative, root) for alternative in schema["anyOf"]), (value, schema)
        return
    if "const" in schema:
        assert value == schema["const"]
    if "enum" in schema:
        assert value in schema["enum"]
    kinds: dict[str, Callable[[Any], bool]] = {
        "string": lambda v: isinstance(v, str),
        "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
        "boolean": lambda v: isinstance(v, bool),
        "array": lambda v: isinstance(v, list),
        "object": lambda v: isinstance(v, dict),
        "null": lambda v: v is None,
    }
    if "type" in schema:
        assert kinds[schema["type"]](value), (value, schema)
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), (value, schema)
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value), (set(value), schema["title"])
        for name, part in value.items():
            if name in schema.get("properties", {}):
                fits(part, schema["properties"][name], root)
    if isinstance(value, list) and "items" in schema:
        for part in value:
            fits(part, schema["items"], root)


def accepts(value: Any, schema: Schema, root: Schema) -> bool:
    try:
        fits(value, schema, root)
    except AssertionError:
        return False
    return True


def test_writing_refuses_what_breaks_and_leaves_the_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: dict[str, Schema]
) -> None:
    assert schemas.main(tmp_path) == 0
    assert schemas.main(tmp_path) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    broken = copy.deepcopy(files)
    del broken["tepat.payout.planned.v1.json"]["properties"]["data"]["properties"]["region"]
    monkeypatch.setattr(schemas, "documents", lambda: broken)
    assert schemas.main(tmp_path) == 1
    assert "/data/region: is gone" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- what breaks and what does not ------------------------------------------------------------------------------

Change = Callable[[dict[str, Schema]], object]
PLANNED, DETECTED = "tepat.payout.planned.v1.json", "tepat.overlap.detected.v1.json"


def data(files: dict[str, Schema], name: str) -> Schema:
    schema: Schema = files[name]["properties"]["data"]
    return schema


def definition(files: dict[str, Schema], name: str, part: str) -> Schema:
    schema: Schema = files[name]["$defs"][part]
    return schema


def channel(files: dict[str, Schema], name: str) -> Schema:
    found: Schema = files["asyncapi.json"]["channels"][name]
    return found


BREAKING: dict[str, Change] = {
    "an event is gone": lambda f: f.pop(PLANNED),
    "an inbound field is gone": lambda f: data(f, PLANNED)["properties"].pop("tranche"),
    "a nested inbound field is gone": lambda f: definition(f, PLANNED, "Recipient")["properties"].pop("kk"),
    "an inbound field is newly required": lambda f: data(f, PLANNED)["required"].append("tranche"),
    "a new inbound field is required": lambda f: (
        data(f, PLANNED)["properties"].update(purpose={"type": "string"}),
        data(f, PLANNED)["required"].append("purpose"),
    ),
    "an inbound value is gone": lambda f: definition(f, PLANNED, "Benefit")["properties"]["kind"]["enum"].remove(
        "goods"
    ),
    "an inbound field gets values": lambda f: data(f, PLANNED)["properties"]["programme"].update(enum=["PKH"]),
    "an inbound type is another": lambda f: data(f, PLANNED)["properties"]["revision"].update(type="string"),
    "an inbound number becomes whole": lambda f: definition(f, PLANNED, "Benefit")["properties"]["quantity"]["anyOf"][
        0
    ].update(type="integer"),
    "an inbound bound is narrower": lambda f: data(f, PLANNED)["properties"]["revision"].update(minimum=1),
    "an inbound upper bound is narrower": lambda f: data(f, PLANNED)["properties"]["revision"].update(maximum=10),
    "an inbound bound is new": lambda f: data(f, PLANNED)["properties"]["programme"].update(maxLength=10),
    "an inbound pattern is another": lambda f: data(f, PLANNED)["properties"]["region"].update(pattern="^33"),
    "the envelope asks for more": lambda f: f[PLANNED]["required"].append("subject"),
    "a list's items are narrower": lambda f: data(f, "tepat.institution.recorded.v1.json")["properties"]["regions"][
        "items"
    ].update(pattern="^33"),
    "an outbound field is gone": lambda f: data(f, DETECTED)["properties"].pop("rule"),
    "an outbound field becomes optional": lambda f: data(f, DETECTED)["required"].remove("rule"),
    "a nested outbound field becomes optional": lambda f: definition(f, DETECTED, "Side")["required"].remove("amount"),
    "an outbound type is another": lambda f: data(f, DETECTED)["properties"]["amount_at_risk"].update(type="string"),
    "an outbound type is wider": lambda f: data(f, DETECTED)["properties"]["amount_at_risk"].update(type="number"),
    "an outbound pattern is gone": lambda f: data(f, DETECTED)["properties"]["overlap_id"].pop("pattern"),
    "a policy field is gone": lambda f: f["policy.json"]["properties"].pop("routes"),
    "a policy field is required": lambda f: f["policy.json"]["required"].append("routes"),
    "a topic is gone": lambda f: f["asyncapi.json"]["channels"].pop("policy"),
    "a topic's key is another": lambda f: channel(f, "distribution.overlaps").update({"x-key": "household"}),
    "a topic's cleanup is another": lambda f: channel(f, "agency.clearances")["bindings"]["kafka"][
        "topicConfiguration"
    ].update({"cleanup.policy": ["delete"]}),
    "a topic's name is another": lambda f: channel(f, "policy").update(address="policies.v1"),
    "an event leaves its topic": lambda f: channel(f, "agency.payouts")["messages"].pop("tepat.source.complete.v1"),
}

ADDITIVE: dict[str, Change] = {
    "nothing": lambda f: None,
    "a new event": lambda f: f.update({"tepat.new.thing.v1.json": {"x-direction": "inbound"}}),
    "a new optional inbound field": lambda f: data(f, PLANNED)["properties"].update(purpose={"type": "string"}),
    "an inbound field becomes optional": lambda f: data(f, PLANNED)["required"].remove("region"),
    "a new inbound value": lambda f: definition(f, PLANNED, "Benefit")["properties"]["kind"]["enum"].append("voucher"),
    "an inbound bound is wider": lambda f: data(f, PLANNED)["properties"]["revision"].update(minimum=-1),
    "an inbound bound is gone": lambda f: data(f, PLANNED)["properties"]["revision"].pop("maximum"),
    "an inbound pattern is gone": lambda f: data(f, PLANNED)["properties"]["region"].pop("pattern"),
    "an inbound type is wider": lambda f: data(f, PLANNED)["properties"]["revision"].update(type="number"),
    "an inbound type is any": lambda f: data(f, PLANNED)["properties"]["revision"].pop("type"),
    "a field may be null": lambda f: data(f, PLANNED)["properties"].update(
        programme={"anyOf": [data(f, PLANNED)["properties"]["programme"], {"type": "null"}]}
    ),
    "a new outbound field": lambda f: (
        data(f, DETECTED)["properties"].update(since={"type": "string"}),
        data(f, DETECTED)["required"].append("since"),
    ),
    "an outbound field becomes required": lambda f: data(f, DETECTED)["required"].append("person"),
    "a new outbound value": lambda f: data(f, DETECTED)["properties"]["scope"]["enum"].append("village"),
    "another retention": lambda f: channel(f, "agency.payouts")["bindings"]["kafka"]["topicConfiguration"].update(
        {"retention.ms": 1}
    ),
    "a new topic": lambda f: f["asyncapi.json"]["channels"].update(new={}),
    "another description": lambda f: f[PLANNED].update(description="…"),
}


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING)
def test_a_breaking_change_is_refused(change: Change, files: dict[str, Schema]) -> None:
    after = copy.deepcopy(files)
    change(after)
    assert compat.breaks(files, after)


def test_what_ended_came_to_a_cleared_overlap_as_an_addition(files: dict[str, Schema]) -> None:
    """Schema, AsyncAPI and example say it, and who was written for what stood before reads on."""
    name = "tepat.overlap.cleared.v1"
    before = copy.deepcopy(files)
    ended = definition(before, f"{name}.json", "Parted")["properties"].pop("ended")
    assert compat.breaks(before, files) == []
    assert "ended" not in definition(files, f"{name}.json", "Parted")["required"]
    (shown,) = files["asyncapi.json"]["components"]["messages"][name]["examples"]
    told = shown["payload"]["data"]["payouts"]
    assert [each.get("ended") for each in told] == [1, None]
    assert ended["minimum"] <= told[0]["ended"]


@pytest.mark.parametrize("change", ADDITIVE.values(), ids=ADDITIVE)
def test_an_additive_change_is_taken(change: Change, files: dict[str, Schema]) -> None:
    after = copy.deepcopy(files)
    change(after)
    assert compat.breaks(files, after) == []


def test_a_schema_that_contains_itself_is_compared_and_ends() -> None:
    tree = {"x-direction": "inbound", "$ref": "#/$defs/Tree",
            "$defs": {"Tree": {"type": "object", "properties": {"below": {"$ref": "#/$defs/Tree"}}}}}  # fmt: skip
    assert compat.breaks({"tree.json": tree}, {"tree.json": copy.deepcopy(tree)}) == []


def test_alternatives_are_compared_by_their_types() -> None:
    either = {"x-direction": "inbound", "anyOf": [{"type": "string"}, {"type": "object"}]}
    assert compat.breaks({"a": either}, {"a": either}) == []
    assert compat.breaks({"a": either}, {"a": {"x-direction": "inbound", "type": "string"}})
    assert compat.breaks({"a": {"x-direction": "inbound", "type": "string"}}, {"a": either}) == []
    anything = {"x-direction": "outbound", "anyOf": [{"type": "string"}, {}]}
    assert compat.breaks({"a": anything}, {"a": {"x-direction": "outbound"}}) == []
