"""Whether new schemas break with the published ones.

Invariants:
- inbound: whatever an agency could send yesterday it can send today, and each field still means something;
- outbound: whatever a reader could rely on yesterday it finds today;
- what cannot be shown to be harmless (another pattern, another type) is told as breaking.

New values in an outbound enumeration are additive: readers are told to expect them. `null` means absent, so a field
that may be null compares as the same field.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

#: Bounds that narrow when they grow, and those that narrow when they shrink.
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_SAME: Final = ("pattern", "format", "const")


def breaks(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[str]:
    """What of the new files breaks with the old ones, one sentence each; files new to the folder break nothing."""
    found: list[str] = []
    for name, before in old.items():
        after = new.get(name)
        if after is None:
            found.append(f"{name}: is gone")
        elif "asyncapi" in before:
            found += [f"{name}: {told}" for told in _channels(before, after)]
        else:
            inbound = before.get("x-direction") == "inbound"
            found += [f"{name}: {told}" for told in _Comparison(before, after, inbound).told()]
    return found


def _channels(old: Schema, new: Schema) -> Iterator[str]:
    for name, before in old["channels"].items():
        after = new["channels"].get(name)
        if after is None:
            yield f"channel {name} is gone"
            continue
        for what, was, now in (
            ("address", before["address"], after["address"]),
            ("key", before["x-key"], after["x-key"]),
            ("cleanup", *(_configuration(c)["cleanup.policy"] for c in (before, after))),
        ):
            if was != now:
                yield f"channel {name}: its {what} changed from {was} to {now}"
        for message in before["messages"]:
            if message not in after["messages"]:
                yield f"channel {name}: no longer has {message}"


def _configuration(channel: Schema) -> Schema:
    configuration: Schema = channel["bindings"]["kafka"]["topicConfiguration"]
    return configuration


class _Comparison:
    def __init__(self, old: Schema, new: Schema, inbound: bool) -> None:
        self._old = old
        self._new = new
        self._inbound = inbound

    def told(self) -> Iterator[str]:
        yield from self._compared(self._old, self._new, "", frozenset())

    def _compared(self, old: Schema, new: Schema, at: str, above: frozenset[str]) -> Iterator[str]:
        if "$ref" in old and old["$ref"] in above:
            return
        above |= {old["$ref"]} if "$ref" in old else set()
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        was, now = _types(old), _types(new)
        if was != now and not (self._inbound and (now is None or (was is not None and was <= now))):
            yield f"{at or '/'}: its type changed from {_shown(was)} to {_shown(now)}"
            return
        yield from self._bounds(old, new, at)
        for name, before in old.get("properties", {}).items():
            after = new.get("properties", {}).get(name)
            if after is None:
                yield f"{at}/{name}: is gone"
            else:
                yield from self._compared(before, after, f"{at}/{name}", above)
        required, required_now = set(old.get("required", ())), set(new.get("required", ()))
        if self._inbound:
            for name in sorted(required_now - required):
                yield f"{at}/{name}: is required now"
        else:
            for name in sorted((required - required_now) & set(new.get("properties", ()))):
                yield f"{at}/{name}: is optional now"
        for key in ("items", "additionalProperties"):
            if isinstance(old.get(key), Mapping) and isinstance(new.get(key), Mapping):
                yield from self._compared(old[key], new[key], f"{at}/{key}", above)

    def _bounds(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        gone = set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum", ())))
        if "enum" in new and (gone or "enum" not in old):
            yield f"{at}: no longer takes {', '.join(sorted(gone)) or 'any value'}"
        for key in _SAME:
            before, after = old.get(key), new.get(key)
            if before != after and not (self._inbound and after is None):
                yield f"{at}: its {key} changed"
        if self._inbound:
            for key in (*_LOWER, *_UPPER):
                before, after = old.get(key), new.get(key)
                if after is None or (before is not None and (after <= before if key in _LOWER else after >= before)):
                    continue
                yield f"{at}: its {key} is narrower now"


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema itself: references followed, and of `anyOf` with null the other alternative."""
    while True:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
            continue
        alternatives = [s for s in schema.get("anyOf", ()) if s.get("type") != "null"]
        if len(alternatives) != 1:
            return schema
        schema = alternatives[0]


def _types(schema: Schema) -> frozenset[str] | None:
    """The JSON types the schema takes; None for any."""
    if "anyOf" in schema:
        found = [_types(s) for s in schema["anyOf"]]
        return None if None in found else frozenset().union(*(f for f in found if f is not None)) - {"null"}
    kind = schema.get("type")
    if kind is None:
        if "const" in schema or "enum" in schema:
            return frozenset({"string"})
        return None
    kinds = {kind} if isinstance(kind, str) else set(kind)
    return frozenset(kinds | ({"integer"} if "number" in kinds else set()))


def _shown(types: frozenset[str] | None) -> str:
    return "any" if types is None else "/".join(sorted(types))
