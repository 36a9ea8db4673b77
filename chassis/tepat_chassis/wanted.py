"""What is wanted instead of what does not fit an interface, in English and Indonesian, and not in the words of whatever
library looked at it.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
)
from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema
from tepat_contracts.events.fields import DATE_PATTERN, REGION_PATTERN, SHA256_PATTERN

_PATTERNS: Final = {
    REGION_PATTERN: (
        "must be the code of an area, such as 33.74 or 33.74.01.1001",
        "harus kode wilayah, contoh 33.74 atau 33.74.01.1001",
    ),
    SHA256_PATTERN: (
        "must be a SHA-256: 64 digits of 0-9 and a-f, as `sha256sum FILE` prints them",
        "harus SHA-256: 64 karakter 0-9 dan a-f, seperti keluaran `sha256sum FILE`",
    ),
}
_TIME: Final = (
    "must be a moment with its zone, such as 2026-03-06T09:30+07:00",
    "harus tanggal dan jam dengan zona waktu, contoh 2026-03-06T09:30+07:00",
)
_DAY: Final = ("must be a day, such as 2026-03-06", "harus tanggal, contoh 2026-03-06")
_WHOLE: Final = ("must be a whole number, such as 750000", "harus bilangan bulat, contoh 750000")
_NUMBER: Final = ("must be a number, such as -6.98", "harus angka, contoh -6.98")
_YES_OR_NO: Final = ("must be true or false", "harus true atau false")
_LENGTHS: Final = {
    "too_short": ("must have at least {min_length} of them", "harus ada sedikitnya {min_length}"),
    "too_long": ("must have at most {max_length} of them", "paling banyak {max_length}"),
    "string_too_short": ("must have at least {min_length} characters", "harus sedikitnya {min_length} karakter"),
    "string_too_long": ("must have at most {max_length} characters", "paling banyak {max_length} karakter"),
    "greater_than_equal": ("must be {ge} or more", "harus {ge} atau lebih"),
    "greater_than": ("must be more than {gt}", "harus lebih dari {gt}"),
    "less_than_equal": ("must be {le} or less", "harus {le} atau kurang"),
    "less_than": ("must be less than {lt}", "harus kurang dari {lt}"),
}
_SAID: Final = {
    "missing": ("is missing", "belum diisi"),
    "extra_forbidden": ("is nothing that is asked for here: leave it out", "tidak diminta di sini: hapus"),
    "uuid_parsing": (
        "must be an id such as 0b6f6f4c-3f0e-5a53-8f8e-5c7d1c6f2a44",
        "harus berupa ID, contoh 0b6f6f4c-3f0e-5a53-8f8e-5c7d1c6f2a44",
    ),
    "timezone_aware": _TIME, "datetime_from_date_parsing": _TIME, "datetime_parsing": _TIME,
    "datetime_type": _TIME, "datetime_object_invalid": _TIME,
    "date_from_datetime_parsing": _DAY, "date_parsing": _DAY, "date_type": _DAY, "date_from_datetime_inexact": _DAY,
    "int_parsing": _WHOLE, "int_type": _WHOLE, "int_from_float": _WHOLE, "int_parsing_size": _WHOLE,
    "float_parsing": _NUMBER, "float_type": _NUMBER, "finite_number": _NUMBER,
    "bool_parsing": _YES_OR_NO, "bool_type": _YES_OR_NO,
    "string_type": ("must be a text", "harus berupa teks"),
    "list_type": ("must be a list", "harus berupa daftar"),
    "model_attributes_type": ("must be an object of JSON", "harus berupa objek JSON"),
    "dict_type": ("must be an object of JSON", "harus berupa objek JSON"),
    "json_invalid": ("is not JSON", "bukan JSON"),
    "string_pattern_mismatch": ("is not of the form that is wanted", "bentuknya tidak seperti yang diminta"),
}  # fmt: skip
_SAID["uuid_type"] = _SAID["uuid_parsing"]


def wanted(error: Mapping[str, Any]) -> str:
    """What is wanted of a field, where an error of Pydantic's says that it isn't what stands there."""
    kind, told = error["type"], error.get("ctx", {})
    if kind in ("literal_error", "enum"):
        choice = str(told["expected"]).replace("'", "")
        english, indonesian = f"must be {choice}", f"harus {choice.replace(' or ', ' atau ')}"
    elif kind in _LENGTHS:
        limits = {name: _in_threes(limit) for name, limit in told.items()}
        english, indonesian = (said.format(**limits) for said in _LENGTHS[kind])
    elif kind == "string_pattern_mismatch" and told["pattern"] in _PATTERNS:
        english, indonesian = _PATTERNS[told["pattern"]]
    elif kind in _SAID:
        english, indonesian = _SAID[kind]
    else:
        return str(told["error"]) if "error" in told else str(error["msg"]).replace("Input should be", "must be")
    return f"{english} / {indonesian}"


def _in_threes(limit: Any) -> str:
    """A limit of ours: to a reader 16 digits in threes are a number, and to the mask of a message they are no NIK."""
    return f"{limit:,}" if isinstance(limit, int | float) else str(limit)


class Form:
    """A text of a form, told in words: ``Annotated[str, Form(r"^[a-z]+$", "must be small letters", "harus …")]``."""

    def __init__(self, pattern: str, english: str, indonesian: str) -> None:
        self._pattern = re.compile(pattern)
        self._refused = f"{english} / {indonesian}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._of_it, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self._pattern.pattern}

    def _of_it(self, text: str) -> str:
        if self._pattern.search(text) is None:
            raise PydanticCustomError("form", "{refused}", {"refused": self._refused})
        return text


Grounds = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=500),
    Form(
        r"^[^\x00]{3,}$",
        "must be said in words: at least 3 characters, apart from blanks before and after",
        "harus diisi dengan kata-kata: sedikitnya 3 karakter, di luar spasi di awal dan akhir",
    ),
]
"""What somebody gives as a purpose, a reason or a basis: blanks are none, and those around it are left out."""
Purpose = Annotated[Grounds, Field(description="why it is disclosed; recorded")]


class Body(BaseModel):
    """What is asked of a route in JSON: no more than it takes, each thing as what it is (`"1"` and `1.0` are no whole
    numbers, 0 is no day), and never repeated in a refusal. Days, moments and ids, which JSON tells in text, are `Day`,
    `Moment` and `Id`.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


def _in_text(begins: str, otherwise: Literal["date_type", "datetime_type"]) -> BeforeValidator:
    """Takes neither a number nor its digits for so many seconds since 1970, nor for a day its midnight."""
    pattern = re.compile(begins)

    def told(value: Any) -> Any:
        if isinstance(value, str) and pattern.search(value):
            return value
        raise PydanticKnownError(otherwise)

    return BeforeValidator(told)


Day = Annotated[date, Strict(False), _in_text(DATE_PATTERN, "date_type")]
Moment = Annotated[AwareDatetime, Strict(False), _in_text(DATE_PATTERN.removesuffix("$"), "datetime_type")]
Id = Annotated[UUID, Strict(False)]
