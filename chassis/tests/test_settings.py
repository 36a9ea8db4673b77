from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field
from tepat_chassis.settings import DatabaseUrl, ServiceSettings


class Registry(ServiceSettings):
    service: ClassVar[str] = "registry"
    registry_url: DatabaseUrl = Field(description="database of the registry")


URL = "postgresql://tepat:geheim@db/registry"


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own, and every setting that must be given, as variables."""
    (tmp_path / "jwks.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEPAT_CONFIG", raising=False)
    given = {"KAFKA": "a:9092,b:9093", "SECRETS": ".", "JWKS": "jwks.json", "ISSUER": "dinsos", "REGISTRY_URL": URL}
    for name, value in given.items():
        monkeypatch.setenv(f"TEPAT_{name}", value)


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        Registry.load(argv)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_the_database_is_the_services_own_and_its_password_is_hidden() -> None:
    settings = Registry.load([])
    assert settings.database_url == URL
    assert "geheim" not in repr(settings)
    assert (settings.audience, settings.http_host, settings.batch_records) == ("tepat", "127.0.0.1", 8000)


def test_flags_come_before_variables_before_the_services_table_before_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("tepat.toml").write_text(
        'http_port = 1\npartitions = 1\nbatch_records = 1\naudience = "file"\ntoken = "others"\n'
        "[registry]\nhttp_port = 2\npartitions = 2\nbatch_records = 2\n"
    )
    monkeypatch.setenv("TEPAT_HTTP_PORT", "3")
    monkeypatch.setenv("TEPAT_PARTITIONS", "3")
    settings = Registry.load(["--http-port", "4"])
    assert (settings.http_port, settings.partitions, settings.batch_records) == (4, 3, 2)
    assert settings.audience == "file"


def test_another_file_can_be_named_and_must_exist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEPAT_CONFIG", "other.toml")
    assert "other.toml can't be read" in refused([], capsys)
    Path("other.toml").write_text("partitions = 5")
    assert Registry.load([]).partitions == 5
    Path("other.toml").write_text("partitions = ")
    assert "other.toml is not TOML" in refused([], capsys)


@pytest.mark.parametrize("name", ["kafka", "secrets", "jwks", "issuer", "registry_url"])
def test_what_is_missing_is_told_with_where_to_give_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(f"TEPAT_{name.upper()}")
    assert refused([], capsys) == (
        f"tepat-registry: {name} is missing; "
        f"give --{name.replace('_', '-')}, TEPAT_{name.upper()}, or {name} in tepat.toml\n"
    )


@pytest.mark.parametrize(
    "flag",
    [
        "--kafka=geheim",
        "--secrets=geheim",
        "--jwks=geheim",
        "--registry-url=mysql://u:geheim@db",
        "--http-port=geheim",
        "--http-port=70000",
        "--batch-records=0",
        "--partitions=0",
        "--issuer=",
    ],
)
def test_what_is_wrong_is_told_without_repeating_it(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused([flag], capsys)
    assert told.count("\n") == 1
    assert f"({flag.partition('=')[0]}, TEPAT_" in told
    assert "geheim" not in told


def test_an_unknown_flag_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--bogus" in refused(["--bogus"], capsys)


def test_a_service_without_its_database_is_a_mistake_of_its_author() -> None:
    with pytest.raises(TypeError, match="registry_url"):
        type("Bare", (ServiceSettings,), {"service": "registry", "__annotations__": {"service": ClassVar[str]}})
