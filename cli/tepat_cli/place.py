"""Where the system is, and as whom to speak with it.

Kept here: flags come before `TEPAT_*` variables, these before `tepat.toml` (of the working directory, or the file
`TEPAT_CONFIG` names). A `--data` on the command line speaks for its own broker, services and tokens: no variable
redirects it. A token is never printed.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import platformdirs
import typer
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from tepat_cli.exits import Unreachable, WrongUse
from tepat_cli.refusals import of_file, words

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="directory of an embedded stack [TEPAT_DATA]")
]
KafkaOption = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="brokers of a cluster [TEPAT_KAFKA]")
]
ApiOption = Annotated[str | None, typer.Option("--api", metavar="URL", help="base URL of the services [TEPAT_API]")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="ROLE", help="whose token of the embedded stack to use [TEPAT_TOKEN]")
]
PartitionsOption = Annotated[
    int | None, typer.Option("--partitions", min=1, help="of a topic that is new [12; 6 in the embedded stack]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON object a line")]
LimitOption = Annotated[int | None, typer.Option(min=0, help="at most so many; 0 for all")]

EMBEDDED_PARTITIONS: Final = 6
CLUSTER_PARTITIONS: Final = 12


def default_data() -> Path:
    """Where the embedded stack lives unless told otherwise."""
    return platformdirs.user_data_path("tepat", appauthor=False)


class Settings(BaseSettings):
    """What flags, variables and `tepat.toml` say."""

    model_config = SettingsConfigDict(env_prefix="TEPAT_", extra="ignore", hide_input_in_errors=True)

    data: Path | None = None
    kafka: str | None = None
    api: str | None = None
    token: SecretStr | None = None
    partitions: int | None = None

    @property
    def directory(self) -> Path:
        """The data directory: the one named, or the user's own."""
        return (self.data or default_data()).expanduser().absolute()

    @classmethod
    def read(cls, **flags: Any) -> "Settings":
        """The settings, flags that are None left out. Raises WrongUse for one of a wrong form."""
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as wrong:
            told = "; ".join(f"{error['loc'][0]}: {error['msg']}" for error in wrong.errors(include_input=False))
            raise WrongUse(words("bad_setting", told=told)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, variables, file, in this order."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _file())


def _file() -> dict[str, Any]:
    named = os.environ.get("TEPAT_CONFIG")
    path = Path(named or "tepat.toml")
    if not named and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise WrongUse(words("unreadable", path=path, why=of_file(wrong))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise WrongUse(words("not_toml", path=path, told=wrong)) from None


@dataclass(frozen=True)
class Place:
    """Where brokers and services answer, and whose word counts there."""

    data: Path
    settings: Settings
    role: str | None

    @classmethod
    def of(
        cls, data: Path | None = None, kafka: str | None = None, api: str | None = None, role: str | None = None
    ) -> "Place":
        """The place that flags, variables and file name together. Raises WrongUse for settings of a wrong form."""
        settings = Settings.read(data=data, kafka=kafka, api=api)
        if data is not None:
            settings.kafka, settings.api = kafka, api
        return cls(settings.directory, settings, role)

    @property
    def embedded(self) -> bool:
        """Whether the broker is that of an embedded stack."""
        return self.settings.kafka is None

    @property
    def kafka(self) -> str:
        """`host:port` of the brokers. Raises Unreachable where no stack runs in the data directory."""
        return self.settings.kafka or str(self._endpoints()["kafka"])

    @property
    def partitions(self) -> int:
        """How many partitions a declared topic gets."""
        return self.settings.partitions or (EMBEDDED_PARTITIONS if self.embedded else CLUSTER_PARTITIONS)

    @property
    def logs(self) -> Path:
        """The directory of the services' logs."""
        return self.data / "logs"

    def service(self, name: str) -> str:
        """Base URL of a service, below which /v1 lies. Raises Unreachable, WrongUse."""
        return self.instances(name)[0]

    def instances(self, name: str) -> list[str]:
        """Base URL of each instance of a service, as far as they can be told apart. Raises as `service`."""
        if self.settings.api:
            return [f"{self.settings.api.rstrip('/')}/{name}"]
        if self.settings.kafka is not None:
            raise WrongUse(words("no_api"))
        endpoints = self._endpoints()
        several: list[str] = endpoints.get("instances", {}).get(name) or [endpoints["http"][name]]
        return several

    def token(self, role: str) -> str | None:
        """The token of `--as`, else TEPAT_TOKEN, else that of `role` in the embedded stack; None where none is."""
        if self.role is None and self.settings.token is not None:
            return self.settings.token.get_secret_value()
        tokens = self.data / "tokens"
        path = tokens / (self.role or role)
        if path.is_file() and path.parent == tokens:
            return path.read_text(encoding="utf-8").strip()
        if self.role is not None:
            known = ", ".join(sorted(each.name for each in tokens.glob("*")))
            if known:
                raise WrongUse(words("no_token_of", data=self.data, role=self.role, known=known))
            raise WrongUse(words("no_tokens", data=self.data, role=self.role))
        return None

    def _endpoints(self) -> dict[str, Any]:
        path = self.data / "endpoints.json"
        try:
            endpoints: dict[str, Any] = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            raise Unreachable(words("no_stack", data=self.data)) from None
        except (OSError, ValueError) as wrong:
            raise Unreachable(words("stack_broken", path=path, error=type(wrong).__name__)) from None
        return endpoints
