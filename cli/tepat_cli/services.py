"""The services' HTTP interfaces, as the command speaks with them.

Kept here: an answer that is not the one asked for becomes words that say what to do; listings are read page by
page, so that their length costs no memory.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
import orjson
from tepat_contracts.bilingual import BETWEEN, halves
from tepat_contracts.topics import SERVICES
from typer._click.globals import get_current_context
from typer.core import TyperArgument, TyperOption

from tepat_cli.exits import Unreachable, WrongUse
from tepat_cli.place import Place
from tepat_cli.refusals import words
from tepat_cli.terminal import by_clocks_of, printable
from tepat_cli.usage import typed

PAGE: Final = 500

Answer = dict[str, Any]


def client(headers: Mapping[str, str]) -> httpx.Client:
    """The connections of one command."""
    return httpx.Client(headers=headers, timeout=httpx.Timeout(30, connect=5))


class Services:
    """The services of a place, asked with the token of `role` unless the user picked another."""

    names = SERVICES

    def __init__(self, place: Place, role: str) -> None:
        self._place = place
        by_clocks_of(None)
        token = place.token(role)
        self._client = client({"authorization": f"Bearer {token}"} if token else {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, service: str, path: str, **params: Any) -> Answer:
        """The answer to GET /v1/{path}. Raises Unreachable, WrongUse (Missing where there is no such thing)."""
        return self._ask("GET", service, path, params=_present(params))

    def everywhere(self, service: str, path: str) -> list[Answer]:
        """The answer of each instance to GET /v1/{path}. Raises as `get`."""
        return [self._ask("GET", service, path, base=base) for base in self._place.instances(service)]

    def post(self, service: str, path: str, body: Any, lines: Mapping[str, str] | None = None) -> Answer:
        """The answer to POST /v1/{path}. Raises as `get`.

        Args:
            lines: what a part of the body is to who gave the command, where it comes from a file: by its pointer, such
                as `body/deliveries/3`.
        """
        return self._ask("POST", service, path, lines=lines, json=body, timeout=600)

    def lines(self, service: str, path: str, body: Any) -> Iterator[Answer]:
        """The lines of an answer to POST /v1/{path} that takes minutes, as they come. Raises as `get`."""
        return self._lines(service, path, json=body)

    def sent_lines(self, service: str, path: str, lines: Iterator[bytes], **params: str) -> Iterator[Answer]:
        """The same where what is asked is sent line by line, each with its end."""
        return self._lines(service, path, content=lines, params=params, headers={"content-type": "application/jsonl"})

    def _lines(self, service: str, path: str, **request: Any) -> Iterator[Answer]:
        url = f"{self._place.service(service)}/v1/{path}"
        try:
            with self._client.stream("POST", url, timeout=600, **request) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(service, answer)
                for line in answer.iter_lines():
                    yield orjson.loads(line)
        except httpx.HTTPError as wrong:
            raise _silent(service, url, wrong) from None
        except ValueError:
            raise Unreachable(words("other_service", url=url, service=service)) from None

    def items(self, service: str, path: str, *, most: int | None = None, **params: Any) -> Iterator[Answer]:
        """Every item of a listing; `most` is a hint of how many will be used."""
        cursor = None
        page = min(most, PAGE) if most else PAGE
        while True:
            answer = self.get(service, path, limit=page, cursor=cursor, **params)
            yield from answer["items"]
            cursor = answer.get("next")
            if cursor is None:
                return

    def none(self, none: str, service: str, path: str, **names: str | None) -> Callable[[], str]:
        """What is said of a listing that is empty: `none`, and which of the names it was asked by, free texts that no
        service can know, stands in none of it whatever else is asked.
        """

        def said() -> str:
            for field, name in _present(names).items():
                if next(self.items(service, path, most=1, **{field: name}), None) is None:
                    option = f"--{field.replace('_', '-')}"
                    return words("nothing_by", none=halves(none), option=option, name=printable(name))
            return none

        return said

    def _ask(
        self, method: str, service: str, path: str, base: str | None = None, lines: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Answer:  # fmt: skip
        url = f"{base or self._place.service(service)}/v1/{path}"
        try:
            answer = self._client.request(method, url, **request)
        except httpx.InvalidURL:
            raise WrongUse(words("no_url", url=url)) from None
        except httpx.HTTPError as wrong:
            raise _silent(service, url, wrong) from None
        if answer.is_success:
            if zone := answer.headers.get("tepat-time-zone"):
                by_clocks_of(zone)
            try:
                told: Answer = answer.json()
            except ValueError:
                raise Unreachable(words("other_service", url=url, service=service)) from None
            return told
        raise _refused(service, answer, lines or {})


def _silent(service: str, url: str, wrong: httpx.HTTPError) -> Unreachable:
    return Unreachable(words("no_answer", service=service, url=url, error=type(wrong).__name__))


class Missing(WrongUse):
    """There is no such thing."""


def _refused(service: str, answer: httpx.Response, lines: Mapping[str, str] = MappingProxyType({})) -> Exception:
    try:
        told = answer.json()
    except ValueError:
        told = None
    detail = str(told.get("detail", "")) if isinstance(told, dict) else ""
    match answer.status_code:
        case 401:
            return WrongUse(words("token_not_taken", service=service, detail=halves(detail)))
        case 403:
            return WrongUse(words("not_allowed", service=service, detail=halves(detail or words("right_missing"))))
        case 404:
            return Missing(f"{service}: {detail or words('nothing_such')}")
        case 400 | 409 | 422:
            if isinstance(told, dict) and told.get("errors"):
                return WrongUse(f"{service}: {_each(told['errors'], lines)}")
            return WrongUse(f"{service}: {_FIELD.sub(lambda field: _option(field[1]) or field[0], detail)}")
        case _:
            return Unreachable(words("went_wrong", service=service, status=answer.status_code, detail=halves(detail)))


_FIELD: Final = re.compile(r"`(\w+)`")


def _each(errors: Iterable[Mapping[str, str]], lines: Mapping[str, str]) -> str:
    """What is wrong with each part of a request, named in either language: all in English, then in Indonesian."""
    told = [(_named(error["pointer"], lines), halves(error["message"])) for error in errors]
    english, indonesian = ("; ".join(f"{name} {said[n]}".strip() for name, said in told) for n in (0, 1))
    return BETWEEN.join((english, indonesian) if english != indonesian else (english,))


def _named(pointer: str, lines: Mapping[str, str]) -> str:
    """What a pointer into a request means to who gave the command: `query/region` is `--region`, `query/by/0` is
    `--by`, `path/finding_id` is FINDING, `body` all of it, and what is below one of `lines` is a field of that line.
    """
    part = "/".join(pointer.split("/", 3)[:3])
    if part in lines:
        return f"{lines[part]} {pointer[len(part) + 1 :]}".strip()
    where, *fields = pointer.split("/")
    named = next((option for field in reversed(fields) if (option := _option(field))), None)
    if named is None and where == "path":
        named = next(map(typed, _running(TyperArgument)), None)
    return named or "/".join(fields)


def _option(field: str) -> str | None:
    """The option or argument of the command that is running which a field of the interface comes from."""
    option = f"--{field.replace('_', '-')}"
    for each in _running(TyperOption, TyperArgument):
        if option in each.opts:
            return option
        if (each.name or "").rstrip("_") == field:
            return typed(each)
    return None


def _running(*kinds: type[TyperOption | TyperArgument]) -> Iterator[TyperOption | TyperArgument]:
    """The options, arguments or both of the command that is running."""
    running = get_current_context(silent=True)
    yield from (each for each in (running.command.params if running is not None else ()) if isinstance(each, kinds))


def segment(text: str) -> str:
    """`text` as one segment of a path. Raises WrongUse where it is none: it would be a listing, or another route."""
    if text in ("", ".", ".."):
        raise WrongUse(words("no_id", text=text))
    return quote(text, safe="")


def _present(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
