"""The published schemas: a JSON Schema for every event and for the policy, and one AsyncAPI 3 document.

`python -m tepat_contracts.schemas` writes them. It refuses, with exit status 1, to overwrite what is there by what
breaks with it: a change of the contract is additive, or a new version of the event.

Invariants: the same code gives the same bytes; a file that no event makes any more is told, not deleted.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter

from . import compat, examples
from .envelope import AGENCY_ID_PATTERN, CONTENT_TYPE
from .events import inbound
from .events.inbound import AnyEvent
from .events.ours import OUTBOUND, POLICY_APPLIED
from .policy import Policy
from .topics import CLEARANCES, INBOUND, POLICY, RECEIPTS, Kind, Topic, own

FOLDER: Final = Path(__file__).parents[1] / "schemas"
ASYNCAPI: Final = "asyncapi.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_AGENCY_SOURCE: Final = f"^urn:tepat:agency:{AGENCY_ID_PATTERN}$"
_SERVICE_SOURCE: Final = "^urn:tepat:service:[a-z]+$"

Schema = dict[str, Any]


def inbound_types() -> dict[str, Any]:
    """Every type that agencies send, with its event."""
    return {type_name: event for kind in Kind for type_name, event in inbound(kind).items()}


def _event_schema(type_name: str, source: str, data: Any, example: Mapping[str, Any], direction: str) -> Schema:
    """A self-contained JSON Schema of a whole structured event."""
    schema = TypeAdapter(AnyEvent).json_schema()
    payload = TypeAdapter(data).json_schema()
    definitions = payload.pop("$defs", {})
    schema["properties"] |= {
        "type": {"const": type_name},
        "source": {"type": "string", "pattern": source},
        "traceparent": {"type": "string"},
        "data": payload,
    }
    if direction == "outbound":
        schema["properties"]["time"]["description"] = "UTC"
    return {
        "$schema": _DIALECT,
        "title": type_name,
        "description": payload.pop("description", ""),
        "x-direction": direction,
        **{key: value for key, value in schema.items() if key not in ("title", "description", "$defs")},
        **({"$defs": definitions} if definitions else {}),
        "examples": [example],
    }


@cache
def _writer_of() -> Mapping[str, str]:
    """The service that writes each type of ours: the first that may write its topic."""
    writers = {topic.name: topic.writers[0] for topic in (*own(), RECEIPTS, CLEARANCES)}
    return {type_name: writers[event.topics[0]] for type_name, event in OUTBOUND.items()}


def event_schemas() -> dict[str, Schema]:
    """The JSON Schema of every event, by type."""
    found = {
        type_name: _event_schema(
            type_name,
            _AGENCY_SOURCE,
            get_type_hints(event, include_extras=True)["data"],
            examples.inbound(type_name),
            "inbound",
        )
        for type_name, event in inbound_types().items()
    }
    for type_name, event in OUTBOUND.items():
        data = Policy if type_name == POLICY_APPLIED else event.data
        example = examples.outbound(type_name, _writer_of()[type_name])
        found[type_name] = _event_schema(type_name, _SERVICE_SOURCE, data, example, "outbound")
    return found


def _policy_schema() -> Schema:
    """The policy file. Unlike the document on its topic it may list a programme's criteria by name."""
    schema = Policy.model_json_schema(by_alias=True)
    programme = schema["$defs"]["Programme"]["properties"]
    programme["criteria"]["anyOf"].insert(1, {k: programme["named_criteria"][k] for k in ("type", "items")})
    return {
        "$schema": _DIALECT,
        "x-direction": "inbound",
        **schema,
        "examples": [examples.OUTBOUND_DATA[POLICY_APPLIED]],
    }


def _channels() -> Iterator[tuple[str, Topic, str, list[str]]]:
    """Each topic with its channel's name, what we do with it, and the types that stand on it."""
    for kind, topic in INBOUND.items():
        yield f"agency.{kind}", topic, "receive", list(inbound(kind))
    for topic in (RECEIPTS, CLEARANCES, *own()):
        types = [type_name for type_name, event in OUTBOUND.items() if topic.name in event.topics]
        if types:
            name = topic.name.removesuffix(".v1").replace("agency.{agency}", "agency")
            yield name, topic, "receive" if topic is POLICY else "send", types


def asyncapi(schemas: Mapping[str, Schema]) -> Schema:
    """The AsyncAPI 3.0 document of every topic and event."""
    channels: Schema = {}
    operations: Schema = {}
    for name, topic, action, types in _channels():
        channel: Schema = {
            "address": topic.name,
            "description": topic.purpose,
            "messages": {t: {"$ref": f"#/components/messages/{t}"} for t in types},
            "bindings": {
                "kafka": {
                    "partitions": topic.partitions,
                    "topicConfiguration": {"cleanup.policy": [topic.cleanup]}
                    | ({"retention.ms": topic.retention_ms} if topic.retention_ms is not None else {}),
                }
            },
            "x-key": topic.key,
            "x-writers": list(topic.writers),
            "x-readers": list(topic.readers),
        }
        if "{agency}" in topic.name:
            channel["parameters"] = {"agency": {"description": f"The agency's id: {AGENCY_ID_PATTERN}"}}
        channels[name] = channel
        operations[f"{action}.{name}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{t}"} for t in types],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tepat",
            "version": "1.0.0",
            "description": "What agencies send and what they are told. CloudEvents 1.0 on Kafka, structured mode; "
            "binary mode is read too.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                type_name: {
                    "name": type_name,
                    "title": type_name,
                    "summary": schema["description"],
                    "contentType": CONTENT_TYPE,
                    "payload": {
                        "schemaFormat": "application/schema+json;version=draft-2020-12",
                        "schema": {"$ref": f"./{type_name}.json"},
                    },
                    "examples": [{"payload": schema["examples"][0]}],
                }
                for type_name, schema in schemas.items()
            }
        },
    }


def documents() -> dict[str, Schema]:
    """Every published file by its name."""
    schemas = event_schemas()
    files = {f"{type_name}.json": schema for type_name, schema in schemas.items()}
    return {**files, "policy.json": _policy_schema(), ASYNCAPI: asyncapi(schemas)}


def rendered(document: Schema) -> str:
    """The text of a published file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def committed(folder: Path = FOLDER) -> dict[str, Schema]:
    """The published files as they lie in the folder."""
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def main(folder: Path = FOLDER) -> int:
    """Write the files, unless they would break with those that are there."""
    files = documents()
    broken = compat.breaks(committed(folder), files)
    for line in broken:
        sys.stderr.write(f"breaking: {line}\n")
    if broken:
        sys.stderr.write("A change of the contract is additive, or a new version of the event.\n")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in files.items():
        (folder / name).write_text(rendered(document), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
