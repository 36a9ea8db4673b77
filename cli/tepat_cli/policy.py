"""`tepat policy`: checking a policy file, trying it, putting it in force, showing what is.

Kept here: a policy with a mistake is never published; a version that was published never changes its content,
for decisions and overlaps name it; the topics of its agencies are there before it is.
"""

import asyncio
import sys
import time
import uuid
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import orjson
import typer
from ruamel.yaml import YAML
from tepat_contracts import envelope
from tepat_contracts.bilingual import Said, halves
from tepat_contracts.policy import Mistake, Policy, PolicyError, check, from_document, load
from tepat_contracts.topics import OWNER, POLICY, SERVICES, for_policy, inbound_name

from tepat_cli import what_if
from tepat_cli.cluster import declare, everything, producer
from tepat_cli.days import in_order
from tepat_cli.exits import REJECTED, Ended, Unreachable, WrongUse, must_hold
from tepat_cli.outcomes import done
from tepat_cli.place import (
    ApiOption,
    AsOption,
    DataOption,
    JsonOption,
    KafkaOption,
    PartitionsOption,
    Place,
)
from tepat_cli.refusals import of_file, words
from tepat_cli.services import Services
from tepat_cli.terminal import json_line, outlet, printable, say

commands = typer.Typer(no_args_is_help=True, help="The policy: check a file, put it in force, show what is.")

APPLIED: Final = "tepat.policy.applied.v1"
LOOK_SECONDS: Final = 0.25
PUT_OFF_SECONDS: Final = 6.0
"""Within which an instance that has the secret a policy names takes it, whichever instance read it."""

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="the policy, in YAML or JSON")]


def policy_text(file: Path) -> str:
    """The text of a policy file. Raises WrongUse where it can't be read."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as wrong:
        raise WrongUse(words("unreadable", path=file, why=of_file(wrong))) from None
    except UnicodeDecodeError:
        raise WrongUse(words("not_utf8", path=file)) from None


def _told(file: Path, text: str, *, as_json: bool = False) -> list[Mistake]:
    """Tells everything there is to say of a policy file."""
    told = check(text)
    for each in told:
        if as_json:
            json_line({"file": str(file), **asdict(each)})
        else:
            kind = "" if each.severity == "mistake" else f"{done(each.severity)}: "
            message = f"{printable(each.path or 'policy')} {printable(each.message)}"
            print(f"{file}:{each.line}:{each.column}: {kind}{message}")
    return told


@commands.command("check")
def check_(
    *,
    file: FileArgument,
    as_json: JsonOption = False,
    data: DataOption = None,  # noqa: ARG001 (every command takes it)
    kafka: KafkaOption = None,  # noqa: ARG001
) -> None:
    """Tells every mistake and contradiction in a policy file, with its line. Ends with 1 if there is one."""
    count = sum(each.severity != "advice" for each in _told(file, policy_text(file), as_json=as_json))
    if count:
        say(done("mistakes", count=count, path=file) if count > 1 else done("mistake", path=file), "red")
        raise typer.Exit(REJECTED)
    say(done("sound", path=file), "green")


@commands.command()
def apply(
    *,
    file: FileArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="until every service has taken it")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="seconds to wait for the services")] = 60,
    partitions: PartitionsOption = None,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Checks a policy, declares the topics of its agencies, puts it in force, and waits until every service has it.

    It is written to the topic: who may do so the broker's ACLs say, not the role or token.
    """
    text = policy_text(file)
    if any(each.severity == "mistake" for each in _told(file, text)):
        raise Ended(words("not_applied", path=file))
    policy = load(text)
    place = Place.of(data, kafka, api, role)
    if wait:
        place.service(SERVICES[0])  # told before anything is changed
    for line in asyncio.run(put_in_force(place, policy, partitions or place.partitions, timeout if wait else None)):
        say(line)


async def put_in_force(place: Place, policy: Policy, partitions: int, patience: float | None) -> list[str]:
    """Declares the topics, publishes, and unless `patience` is None waits so many seconds for the services.

    Returns what was done, in words. Raises WrongUse, Unreachable.
    """
    declared, published = await _publish(place, policy, partitions)
    told = [done("declared", topic=name) for name in declared]
    told.append(done("in_force" if published else "in_force_already", version=policy.version))
    if patience is not None:
        await asyncio.to_thread(_taken, place, policy, patience)
        told.append(done("taken_by", services=", ".join(SERVICES)))
    return told


async def _publish(place: Place, policy: Policy, partitions: int) -> tuple[list[str], bool]:
    """Declares topics and publishes; the topics that are new, and whether the policy was not in force already."""
    declared = await declare(place.kafka, [POLICY])
    versions = await published_versions(place.kafka)
    known = versions.get(policy.version)
    if known is not None and from_document(known) != policy:
        raise WrongUse(words("version_taken", version=policy.version))
    declared += await declare(place.kafka, for_policy(policy, partitions))
    if known is not None and list(versions)[-1] == policy.version:
        return declared, False
    event = envelope.event(
        service="policy",
        type=APPLIED,
        id=str(uuid.uuid4()),
        time=datetime.now(UTC),
        data=policy.document(),
        subject=policy.version,
    )
    async with producer(place.kafka) as sender:
        await sender.send_and_wait(
            POLICY.name, envelope.write(event), key=policy.version.encode(), headers=envelope.STRUCTURED_HEADERS
        )
    return declared, True


def _taken(place: Place, policy: Policy, timeout: float) -> None:
    """Waits until every service says that it has this policy and reads its agencies' topics.

    Raises Unreachable, and does so early where all that keeps any from it is a secret that it lacks.
    """
    wanted: dict[str, set[str]] = {service: set() for service in SERVICES}
    for kind, service in OWNER.items():
        wanted[service] |= {inbound_name(agency.id, kind) for agency in policy.agencies}
    began = time.monotonic()
    late: dict[str, str | Said] = dict.fromkeys(wanted, "has not answered")
    with Services(place, "policy") as services:
        while True:
            lacking: set[str] = set()
            for service in list(late):
                try:
                    statuses = services.everywhere(service, "status")
                except Unreachable as wrong:
                    late[service] = str(wrong)
                    continue
                unread = wanted[service].difference(*(status["topics"] for status in statuses))
                put_off = [told for status in statuses if (told := status.get("policy_put_off"))]
                others = [status["policy_version"] for status in statuses if status["policy_version"] != policy.version]
                if why := [told["why"] for told in put_off if told["version"] == policy.version]:
                    late[service] = halves(why[0])
                    lacking.add(service)
                elif others:
                    late[service] = f"has policy {others[0] or 'none'}"
                elif unread:
                    late[service] = f"does not read {', '.join(sorted(unread)[:3])} yet"
                else:
                    del late[service]
            if not late:
                return
            waited = time.monotonic() - began
            if waited > (min(timeout, PUT_OFF_SECONDS) if lacking == late.keys() else timeout):
                told = [
                    "; ".join(f"{service}: {why if isinstance(why, str) else why[n]}" for service, why in late.items())
                    for n in (0, 1)
                ]
                raise Unreachable(words("not_taken_in", timeout=waited, told=tuple(told)))
            time.sleep(LOOK_SECONDS)


@commands.command()
def simulate(
    *,
    file: FileArgument,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="payouts from this day on [last year's]")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="and to this day")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="OUT.svg", help="also draw it, by programme and kabupaten or kota")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Tells what a policy would change: who gains and loses eligibility, which overlaps appear and vanish, rupiah.

    Nothing is put in force, written or announced. Decided is the present population, tried are last year's payouts.
    """
    must_hold(picture, ".svg")
    text = policy_text(file)
    try:
        policy = load(text)
    except PolicyError:
        _told(file, text, as_json=as_json)
        raise Ended(words("not_simulated", path=file)) from None
    last_year = datetime.now(ZoneInfo(policy.time_zone)).year - 1
    first = since.date() if since else date(until.year if until else last_year, 1, 1)
    last = until.date() if until else date(first.year, 12, 31)
    in_order(first, last)
    outcome = what_if.ask(Place.of(data, kafka, api, role), policy, first, last)
    if picture is not None:
        try:
            picture.write_text(what_if.picture(outcome), encoding="utf-8")
        except OSError as wrong:
            raise WrongUse(words("unwritable", path=picture, why=of_file(wrong))) from None
    what_if.show(outcome, as_json=as_json)


@commands.command()
def show(
    *,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="the one in force unless given")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
) -> None:
    """The policy in force, or another version, as it was applied."""
    versions = asyncio.run(published_versions(Place.of(data, kafka).kafka))
    if not versions:
        raise WrongUse(words("no_policy"))
    latest = list(versions)[-1]
    chosen = version or latest
    if chosen not in versions:
        raise WrongUse(words("no_version", version=chosen, versions=", ".join(versions)))
    if as_json:
        json_line(versions[chosen])
        return
    if chosen == latest:
        say(done("version_in_force", version=chosen), "dim")
    else:
        say(done("version_past", version=chosen, latest=latest), "dim")
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 110
    with outlet():
        yaml.dump(versions[chosen], sys.stdout)


async def published_versions(brokers: str) -> dict[str, Any]:
    """Every policy published, by its version; the one last published last."""
    versions: dict[str, Any] = {}
    for record in await everything(brokers, POLICY.name):
        if record.value is None:
            continue
        version = (record.key or b"").decode()
        versions.pop(version, None)
        versions[version] = orjson.loads(record.value)["data"]
    return versions


async def in_force(brokers: str) -> Any:
    """The policy in force as JSON, or None."""
    versions = await published_versions(brokers)
    return list(versions.values())[-1] if versions else None
