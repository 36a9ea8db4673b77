"""What a service is told from outside.

Invariants:
- One order everywhere: flags, then ``TEPAT_*`` variables, then ``tepat.toml`` (its table of the service's
  name before its top level), then the defaults here.
- A wrong setting ends the process with status 2 and plain words; what was given is never repeated, for it may
  be a password.
"""

import os
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self

from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

_BROKERS = re.compile(r"[^\s:,/]+:\d{1,5}(,[^\s:,/]+:\d{1,5})*")


def _brokers(value: str) -> str:
    if not _BROKERS.fullmatch(value):
        raise ValueError("write it as host:port, several with commas between")
    return value


def _database(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("write it as postgresql://user:password@host:port/name")
    return value


def _keys(value: str) -> str:
    if not value.startswith(("http://", "https://")) and not Path(value).is_file():
        raise ValueError("it is neither an http(s) URL nor a file that exists")
    return value


def _level(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
"""A ``postgresql://`` URL whose repr hides the password."""


class ServiceSettings(BaseSettings):
    """The settings every service has. A service names itself and its database, and adds its own::

        class RegistrySettings(ServiceSettings):
            service = "registry"
            registry_url: DatabaseUrl = Field(description="database of the registry")

    which reads TEPAT_REGISTRY_URL; ``database_url`` gives it back.
    """

    model_config = SettingsConfigDict(
        env_prefix="TEPAT_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )
    service: ClassVar[str]

    kafka: Annotated[str, AfterValidator(_brokers)] = Field(description="brokers, host:port")
    secrets: DirectoryPath = Field(description="directory of the secret files")
    jwks: Annotated[str, AfterValidator(_keys)] = Field(description="file or URL of the keys tokens are signed with")
    issuer: str = Field(min_length=1, description="who issues the tokens (their iss)")
    audience: str = Field("tepat", min_length=1, description="for whom tokens are issued (their aud)")
    http_host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    http_port: int = Field(8080, ge=0, le=65535, description="port to listen on, 0 for a free one")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)] = Field(
        "info", description="least level that is logged"
    )
    partitions: int = Field(12, ge=1, le=1000, description="partitions of the topics this service declares")
    batch_records: int = Field(8000, ge=1, le=100_000, description="most records taken in one transaction")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if hasattr(cls, "service") and f"{cls.service}_url" not in cls.model_fields:
            raise TypeError(f"{cls.__name__} of service {cls.service} has no field {cls.service}_url")

    @property
    def database_url(self) -> str:
        """The URL of the service's own database, with its password: not for logs."""
        url: SecretStr = getattr(self, f"{self.service}_url")
        return url.get_secret_value()

    @classmethod
    def load(cls, argv: Sequence[str] | None = None) -> Self:
        """Reads the settings; ``argv`` are the flags without the program's name (those of the process by
        default).

        Raises SystemExit 2 where something is missing or wrong, told on standard error, 0 after ``--help``.
        """
        flags = list(sys.argv[1:] if argv is None else argv)
        try:
            return cls(_cli_parse_args=flags, _cli_prog_name=f"tepat-{cls.service}")
        except ValidationError as wrong:
            cls._refuse([_in_words(str(error["loc"][0]), error) for error in wrong.errors(include_input=False)])
        except SettingsError as wrong:
            cls._refuse([str(wrong)])

    @classmethod
    def _refuse(cls, reasons: list[str]) -> NoReturn:
        for reason in reasons:
            print(f"tepat-{cls.service}: {reason}", file=sys.stderr)
        raise SystemExit(2)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Init arguments, variables, ``tepat.toml``; pydantic-settings puts the flags before them."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _from_file(cls.service))


def _in_words(name: str, error: Any) -> str:
    sources = f"--{name.replace('_', '-')}, TEPAT_{name.upper()}, or {name} in tepat.toml"
    if error["type"] == "missing":
        return f"{name} is missing; give {sources}"
    return f"{name} is wrong ({sources}): {error['msg'].removeprefix('Value error, ')}"


def _from_file(service: str) -> dict[str, Any]:
    """What ``tepat.toml`` of the working directory, or the file TEPAT_CONFIG names, says for this service."""
    named = os.environ.get("TEPAT_CONFIG")
    path = Path(named or "tepat.toml")
    if not named and not path.is_file():
        return {}
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise SettingsError(f"{path} can't be read: {wrong.strerror}") from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise SettingsError(f"{path} is not TOML: {wrong}") from wrong
    own = told.get(service)
    return {**told, **(own if isinstance(own, dict) else {})}
