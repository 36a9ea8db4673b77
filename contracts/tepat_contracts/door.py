"""What is taken from an agency and what is not: one record in, one event out or one reason why not.

Invariants:
- the order of judgement is fixed, so that one record has one reason: malformed, envelope, unknown type, source,
  agency, data, NIK and KK, covers, programme, region;
- a good record costs one pass of Pydantic and a few look-ups; why a bad one is bad is worked out only then;
- no rejection holds a NIK, a KK, a name or any other value the sender wrote, save the event's id;
- no input raises anything but Refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, Final, Generic, Literal, NoReturn, TypeVar, cast, overload

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from .envelope import BINARY_PREFIX, MAX_VALUE_BYTES, agency_source, trace_id
from .events import adapter, inbound
from .events.beneficiaries import BeneficiariesEvent
from .events.fields import DATE_PATTERN, PAYOUT_ID_PATTERN, REGION_PATTERN, SHA256_PATTERN, TIME_PATTERN
from .events.inbound import AnyEvent
from .events.payouts import PayoutsEvent
from .events.reports import ReportsEvent
from .events.verifications import VILLAGE_PATTERN, VerificationsEvent
from .identity import is_kk, is_nik
from .policy import AgencyEntry, PolicyIndex
from .receipts import Reason, Refused, Rejection
from .topics import Kind

__all__ = ["Door", "Headers", "Kind", "Reason", "Refused", "Rejection", "canonical"]

#: Kafka record headers as aiokafka gives them.
Headers = Sequence[tuple[str, bytes | None]]


E = TypeVar("E")


class Door(Generic[E]):
    """Admits the records of one kind of topic. Holds no state but its schemas; safe to share."""

    @overload
    def __init__(self: "Door[PayoutsEvent]", kind: Literal[Kind.PAYOUTS]) -> None: ...
    @overload
    def __init__(self: "Door[BeneficiariesEvent]", kind: Literal[Kind.BENEFICIARIES]) -> None: ...
    @overload
    def __init__(self: "Door[ReportsEvent]", kind: Literal[Kind.REPORTS]) -> None: ...
    @overload
    def __init__(self: "Door[VerificationsEvent]", kind: Literal[Kind.VERIFICATIONS]) -> None: ...
    @overload
    def __init__(self: "Door[Any]", kind: Kind) -> None: ...

    def __init__(self, kind: Kind) -> None:
        self.kind: Final = kind
        self._adapter: Final = adapter(kind)
        self._types: Final = frozenset(inbound(kind))

    def admit(self, value: bytes | None, headers: Headers, agency: str, policy: PolicyIndex) -> E:
        """The event in a record, `time` as an aware datetime and dates as dates; unknown fields are left out.

        `agency` is the one whose topic the record stands on. Raises Refused, and nothing else.
        """
        if not value:
            _refuse(Reason.MALFORMED, "empty")
        if len(value) > MAX_VALUE_BYTES:
            _refuse(Reason.MALFORMED, "too_large")
        event: Any
        try:
            # JSON knows neither NaN nor Infinity; jiter does, and tells only when asked in a parse of its own. One
            # byte is looked for first: that is a memchr, ten times as fast as looking for the word.
            if (78 in value and b"NaN" in value) or (73 in value and b"Infinity" in value):
                raise _Doubtful
            event = self._adapter.validate_json(value)
            # A NUL can only come as these six characters (92 is the backslash): then each string is looked at.
            if 92 in value and b"\\u0000" in value:
                raise _Doubtful
        except (ValidationError, _Doubtful):
            event = self._examined(value, headers, agency, policy)
        _judge(event, agency, policy)
        return cast(E, event)

    def _examined(self, value: bytes, headers: Headers, agency: str, policy: PolicyIndex) -> Any:
        """The slow way in, for binary mode and for what is wrong, in the order that gives each its one reason."""
        told = _attributes(value, headers)
        event_id = told.get("id")
        if not (isinstance(event_id, str) and 1 <= len(event_id) <= 128 and "\0" not in event_id):
            event_id = None
        try:
            envelope = _ENVELOPE.validate_python(told)
        except ValidationError as error:
            _refuse_schema(error, event_id, skip=0)
        _refuse_nul({name: part for name, part in envelope.items() if name != "data"}, event_id)
        if envelope["data"] is None:
            _refuse(Reason.SCHEMA, "missing", "/data", event_id)
        _judge_time(envelope)
        if envelope["type"] not in self._types:
            _refuse(Reason.UNKNOWN_TYPE, "unknown_type", "/type", event_id)
        _judge_sender(envelope, agency, policy)
        try:
            event = self._adapter.validate_python(told)
        except ValidationError as error:
            _refuse_schema(error, event_id, skip=1)
        _refuse_nul(event, event_id)
        return event


class _Doubtful(Exception):
    """What the fast way in cannot settle."""


_ENVELOPE: Final = TypeAdapter(AnyEvent)


# --- reading ----------------------------------------------------------------------------------------------------


def _attributes(value: bytes, headers: Headers) -> dict[str, Any]:
    """The event as a plain object: the value itself in structured mode, headers and value put together in binary.

    A value that is an object with `specversion` is structured, whatever the headers say. Raises Refused.
    """
    try:
        parsed = from_json(value, allow_inf_nan=False)
    except ValueError:
        _refuse(Reason.MALFORMED, "malformed")
    if isinstance(parsed, dict) and parsed.get("specversion") is not None:
        return parsed
    binary: dict[str, Any] = {}
    structured = False
    try:
        for key, raw in headers:
            name = key.lower()
            if raw is None:
                continue
            if name == "content-type":
                structured = raw.decode().strip().lower().startswith("application/cloudevents")
                binary.setdefault("datacontenttype", raw.decode())
            elif name.startswith(BINARY_PREFIX):
                binary[name.removeprefix(BINARY_PREFIX)] = raw.decode()
    except UnicodeDecodeError:
        _refuse(Reason.MALFORMED, "malformed")
    if not structured and "specversion" in binary:
        return {**binary, "data": parsed}
    if not isinstance(parsed, dict):
        _refuse(Reason.SCHEMA, "dict_type", "")
    return parsed


def canonical(value: bytes, headers: Headers) -> str:
    """The `data` of a record that was admitted, as canonical JSON: sorted keys, no spaces, not ASCII-escaped.

    Decides between two events that misuse one id (overlap.md, Ledger), so it is made from the raw record, unknown
    fields included. Keys are sorted by code point, and numbers are written as Python's json writes them.
    """
    event = json.loads(value)
    if not (isinstance(event, dict) and event.get("specversion") is not None):
        event = _attributes(value, headers)
    return json.dumps(event.get("data"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# --- judging ----------------------------------------------------------------------------------------------------


def _judge_sender(event: Mapping[str, Any], agency: str, policy: PolicyIndex) -> AgencyEntry:
    entry = policy.agencies.get(agency)
    if entry is not None and event["source"] == entry.source:
        return entry
    if event["source"] != agency_source(agency):
        _refuse(Reason.SOURCE_MISMATCH, "source_mismatch", "/source", event["id"])
    return _refuse(Reason.AGENCY_UNKNOWN, "agency_unknown", "/source", event["id"])


def _judge(event: dict[str, Any], agency: str, policy: PolicyIndex) -> None:
    """What a schema cannot say: numbers that exist, rights, programmes, areas."""
    entry = _judge_sender(event, agency, policy)
    if event["time"].year in _LAST_YEARS:
        _judge_time(event)
    if "traceparent" in event and trace_id(event["traceparent"]) is None:
        del event["traceparent"]
    judge = _JUDGES.get(event["type"])
    if judge is not None:
        judge(event["data"], event["id"], entry, policy)


_LAST_YEARS: Final = frozenset((1, 9999))


def _judge_time(event: Mapping[str, Any]) -> None:
    try:
        event["time"].astimezone(UTC)
    except OverflowError:
        _refuse(Reason.SCHEMA, "time_range", "/time", event["id"])


def _nik(number: str, pointer: str, event_id: str) -> None:
    if not is_nik(number):
        _refuse(Reason.NIK_INVALID, "nik_invalid", pointer, event_id)


def _kk(number: str, pointer: str, event_id: str) -> None:
    if not is_kk(number):
        _refuse(Reason.KK_INVALID, "kk_invalid", pointer, event_id)


def _programme(code: str, event_id: str, entry: AgencyEntry, policy: PolicyIndex) -> None:
    if code not in entry.programmes:
        if code in policy.programmes:
            _refuse(Reason.NOT_PERMITTED, "programme_not_own", "/data/programme", event_id)
        _refuse(Reason.PROGRAMME_UNKNOWN, "programme_unknown", "/data/programme", event_id)


def _region(code: str, pointer: str, event_id: str, policy: PolicyIndex) -> None:
    if code not in policy.regions:
        _refuse(Reason.REGION_UNKNOWN, "region_unknown", pointer, event_id)


def _may_merge(event_id: str, entry: AgencyEntry) -> None:
    if "merge" not in entry.rights:
        _refuse(Reason.NOT_PERMITTED, "no_merge_right", "/type", event_id)


def _payout(data: dict[str, Any], event_id: str, entry: AgencyEntry, policy: PolicyIndex) -> None:
    recipient = data["recipient"]
    _nik(recipient["nik"], "/data/recipient/nik", event_id)
    if (kk := recipient.get("kk")) is not None:
        _kk(kk, "/data/recipient/kk", event_id)
    covers = data["covers"]
    if covers["to"] < covers["from"]:
        _refuse(Reason.COVERS_INVERTED, "covers_inverted", "/data/covers", event_id)
    _programme(data["programme"], event_id, entry, policy)
    _region(data["region"], "/data/region", event_id, policy)


def _complete(data: dict[str, Any], event_id: str, entry: AgencyEntry, policy: PolicyIndex) -> None:
    if (programme := data.get("programme")) is not None:
        _programme(programme, event_id, entry, policy)


def _person(data: dict[str, Any], event_id: str, _entry: AgencyEntry, policy: PolicyIndex) -> None:
    _nik(data["nik"], "/data/nik", event_id)
    _kk(data["kk"], "/data/kk", event_id)
    _region(data["region"], "/data/region", event_id, policy)


def _merge(data: dict[str, Any], event_id: str, entry: AgencyEntry, _policy: PolicyIndex) -> None:
    _nik(data["from_nik"], "/data/from_nik", event_id)
    if (into := data.get("into_nik")) is not None:
        _nik(into, "/data/into_nik", event_id)
    _may_merge(event_id, entry)


def _renewal(data: dict[str, Any], event_id: str, entry: AgencyEntry, _policy: PolicyIndex) -> None:
    _kk(data["from_kk"], "/data/from_kk", event_id)
    if (into := data.get("into_kk")) is not None:
        _kk(into, "/data/into_kk", event_id)
    _may_merge(event_id, entry)


def _erasure(data: dict[str, Any], event_id: str, entry: AgencyEntry, _policy: PolicyIndex) -> None:
    _nik(data["nik"], "/data/nik", event_id)
    _may_merge(event_id, entry)


def _institution(data: dict[str, Any], event_id: str, _entry: AgencyEntry, policy: PolicyIndex) -> None:
    for index, code in enumerate(data["regions"]):
        _region(code, f"/data/regions/{index}", event_id, policy)


def _report(data: dict[str, Any], event_id: str, _entry: AgencyEntry, policy: PolicyIndex) -> None:
    for index, person in enumerate(data["people"]):
        if (nik := person.get("nik")) is not None:
            _nik(nik, f"/data/people/{index}/nik", event_id)
    _region(data["region"], "/data/region", event_id, policy)


def _verification(data: dict[str, Any], event_id: str, entry: AgencyEntry, policy: PolicyIndex) -> None:
    _nik(data["nik"], "/data/nik", event_id)
    if (programme := data.get("programme")) is not None:
        _programme(programme, event_id, entry, policy)
    _region(data["region"], "/data/region", event_id, policy)


_JUDGES: Final[Mapping[str, Callable[[dict[str, Any], str, AgencyEntry, PolicyIndex], None]]] = {
    "tepat.payout.planned.v1": _payout,
    "tepat.payout.disbursed.v1": _payout,
    "tepat.source.complete.v1": _complete,
    "tepat.person.recorded.v1": _person,
    "tepat.persons.merged.v1": _merge,
    "tepat.persons.unmerged.v1": _merge,
    "tepat.household.renewed.v1": _renewal,
    "tepat.person.erased.v1": _erasure,
    "tepat.institution.recorded.v1": _institution,
    "tepat.report.filed.v1": _report,
    "tepat.verification.listed.v1": _verification,
    "tepat.verification.recorded.v1": _verification,
    "tepat.objection.filed.v1": _verification,
}


# --- refusing ---------------------------------------------------------------------------------------------------

_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "empty": ("The record is empty: send one JSON object.", "Rekaman kosong: kirim satu objek JSON."),
    "too_large": (
        "The record is larger than 1 MiB (1,048,576 bytes): send less in one event.",
        "Rekaman lebih besar dari 1 MiB (1.048.576 bita): kirim lebih sedikit dalam satu event.",
    ),
    "malformed": (
        "The record is not JSON in UTF-8: send one JSON object, without a byte order mark, NaN or deep nesting.",
        "Rekaman bukan JSON dalam UTF-8: kirim satu objek JSON tanpa BOM, NaN, atau susunan terlalu dalam.",
    ),
    "unknown_type": (
        "This topic does not take events of this type: check the type and the topic.",
        "Topik ini tidak menerima event jenis ini: periksa jenis event dan topiknya.",
    ),
    "source_mismatch": (
        "The source is not the agency of this topic: send with source urn:tepat:agency:<id> to your own topics.",
        "Sumber bukan instansi pemilik topik ini: kirim dengan source urn:tepat:agency:<id> ke topik sendiri.",
    ),
    "agency_unknown": (
        "The policy in force does not know this agency: ask the province to add it, then have the record replayed.",
        "Kebijakan yang berlaku tidak mengenal instansi ini: minta provinsi menambahkannya, lalu putar ulang.",
    ),
    "nik_invalid": (
        "This is no valid NIK: check the 16 digits on the card, and that the column is text and not a number.",
        "NIK tidak sah: periksa 16 angka pada KTP, dan pastikan kolomnya teks, bukan angka.",
    ),
    "kk_invalid": (
        "This is no valid KK number: check the 16 digits on the family card, and that the column is text.",
        "Nomor KK tidak sah: periksa 16 angka pada Kartu Keluarga, dan pastikan kolomnya teks.",
    ),
    "covers_inverted": (
        "The period ends before it begins: exchange or correct `from` and `to`.",
        "Masa berakhir sebelum dimulai: tukar atau perbaiki `from` dan `to`.",
    ),
    "programme_unknown": (
        "The policy in force has no such programme: check the code, or ask the province to add it.",
        "Kebijakan yang berlaku tidak memuat program ini: periksa kodenya, atau minta provinsi menambahkannya.",
    ),
    "programme_not_own": (
        "This programme is not one of your agency's: check the code, or ask the province to assign it.",
        "Program ini bukan milik instansi Anda: periksa kodenya, atau minta provinsi menetapkannya.",
    ),
    "no_merge_right": (
        "Your agency has no right to merge or erase persons, or to renew cards: ask the province, or one that has it.",
        "Instansi Anda tidak berhak menggabungkan, menghapus penduduk, atau memperbarui KK: mintalah kepada provinsi.",
    ),
    "region_unknown": (
        "There is no such area: check the Kemendagri code, or ask the province to add a new area to the policy.",
        "Wilayah tidak dikenal: periksa kode Kemendagri, atau minta provinsi menambahkan wilayah baru.",
    ),
    "missing": ("This field is required: add it.", "Isian ini wajib: tambahkan."),
    "nul": ("The text holds a NUL character: remove it.", "Teks memuat karakter NUL: hapus."),
    "time_range": (
        "The time lies outside the years 0001 to 9999 in UTC: correct it.",
        "Waktu berada di luar tahun 0001 sampai 9999 dalam UTC: perbaiki.",
    ),
    "dict_type": ("This must be a JSON object.", "Isian ini harus berupa objek JSON."),
    "list_type": ("This must be a list.", "Isian ini harus berupa daftar."),
    "string_type": (
        "This must be a text: put it in quotes.",
        "Isian ini harus berupa teks: beri tanda kutip.",
    ),
    "int_type": (
        "This must be a whole number without quotes or a decimal point.",
        "Isian ini harus bilangan bulat tanpa tanda kutip atau titik desimal.",
    ),
    "float_type": ("This must be a number without quotes.", "Isian ini harus bilangan tanpa tanda kutip."),
    "bool_type": (
        "This must be true or false, without quotes.",
        "Isian ini harus true atau false, tanpa tanda kutip.",
    ),
    "number_range": ("This number is out of range.", "Bilangan ini di luar rentang."),
    "length": ("This text is too short or too long.", "Teks ini terlalu pendek atau terlalu panjang."),
    "date": (
        "This must be a date that exists, written YYYY-MM-DD.",
        "Isian ini harus tanggal yang ada, ditulis YYYY-MM-DD.",
    ),
    "time": (
        "This must be a time with offset, as 2026-01-31T08:00:00+07:00, with at most six decimals of a second.",
        "Isian ini harus waktu dengan zona, misalnya 2026-01-31T08:00:00+07:00, paling banyak enam desimal detik.",
    ),
    "region": (
        "This must be a Kemendagri code with dots, as 33.74.01.1001.",
        "Isian ini harus kode Kemendagri dengan titik, misalnya 33.74.01.1001.",
    ),
    "village": (
        "This must be the Kemendagri code of a kelurahan or desa, as 33.74.01.1001.",
        "Isian ini harus kode Kemendagri kelurahan atau desa, misalnya 33.74.01.1001.",
    ),
    "too_short": ("This list needs at least one entry: add it.", "Daftar ini perlu paling sedikit satu isian."),
    "payout_id": (
        "This must be 1 to 64 printable ASCII characters without |.",
        "Isian ini harus 1 sampai 64 karakter ASCII yang dapat dicetak, tanpa |.",
    ),
    "sha256": (
        "This must be a SHA-256 of 64 hexadecimal digits.",
        "Isian ini harus SHA-256 dengan 64 angka heksadesimal.",
    ),
    "schema": (
        "This value is not one the contract allows: see the schema of this event.",
        "Nilai ini tidak diizinkan oleh kontrak: lihat skema event ini.",
    ),
}

_OF_PATTERN: Final = {
    DATE_PATTERN: "date",
    TIME_PATTERN: "time",
    REGION_PATTERN: "region",
    VILLAGE_PATTERN: "village",
    PAYOUT_ID_PATTERN: "payout_id",
    SHA256_PATTERN: "sha256",
}
_OF_TYPE: Final = {
    "greater_than_equal": "number_range",
    "less_than_equal": "number_range",
    "finite_number": "number_range",
    "free_number": "number_range",
    "free_text_nul": "nul",
    "string_too_short": "length",
    "string_too_long": "length",
    "date_from_datetime_parsing": "date",
    "date_parsing": "date",
    "datetime_parsing": "time",
    "datetime_from_date_parsing": "time",
    "timezone_aware": "time",
    "int_from_float": "int_type",
    "int_parsing_size": "number_range",
}


def _refuse(reason: Reason, key: str, pointer: str | None = None, event_id: str | None = None) -> NoReturn:
    raise Refused(Rejection(reason, _told(key), pointer, event_id)) from None


def _told(key: str) -> str:
    english, indonesian = _SENTENCES[key]
    return f"{english} / {indonesian}"


def _refuse_schema(error: ValidationError, event_id: str | None, skip: int) -> NoReturn:
    """Refuse for the first error; `skip` leaves out the type that the discriminated union puts in front."""
    first = error.errors(include_url=False, include_context=True)[0]
    pointer = _pointer(first["loc"][skip:])
    raise Refused(Rejection(Reason.SCHEMA, _explained(first), pointer, event_id)) from None


def _explained(detail: ErrorDetails) -> str:
    if detail["input"] is None and detail["type"] != "missing":
        return _told("missing")  # null means absent
    if detail["type"] == "literal_error":
        allowed = detail["ctx"]["expected"].replace(" or ", ", ")
        return f"This must be one of {allowed}. / Isian ini harus salah satu dari {allowed}."
    key = (
        _OF_PATTERN.get(detail["ctx"]["pattern"], "schema")
        if detail["type"] == "string_pattern_mismatch"
        else _OF_TYPE.get(detail["type"], detail["type"])
    )
    return _told(key if key in _SENTENCES else "schema")


def _pointer(location: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _refuse_nul(event: Mapping[str, Any], event_id: str | None) -> None:
    for location in _nuls(event, ()):
        _refuse(Reason.SCHEMA, "nul", _pointer(location), event_id)


def _nuls(part: object, location: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(part, str):
        if "\0" in part and location[0] != "traceparent":
            yield location
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from _nuls(value, (*location, name))
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from _nuls(value, (*location, index))
