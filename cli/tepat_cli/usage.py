"""A command given otherwise than it takes: what is said, in English and Indonesian, and not in the words of the library
that looked at it.

Kept here: an option or argument is named as it is typed; its value is not repeated, for it may be a NIK.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from tepat_contracts.bilingual import Said, both, halves
from typer._click import Command, Context
from typer._click.exceptions import (
    BadOptionUsage,
    BadParameter,
    ClickException,
    MissingParameter,
    NoSuchOption,
    UsageError,
)
from typer.core import TyperArgument, TyperGroup, TyperOption

from tepat_cli.exits import WrongUse
from tepat_cli.refusals import words

_NOWHERE: Final = ("", "")


class Commands(TyperGroup):
    """A command that holds others."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """As it was. Raises WrongUse where there is no such command, and names the nearest."""
        if self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.commands)
            raise WrongUse(words("no_command", command=ctx.command_path, near=_near(near)))
        return super().resolve_command(ctx, args)


def misused(wrong: ClickException) -> str:
    """What is wrong with how a command was called, and where to look."""
    ctx = wrong.ctx if isinstance(wrong, UsageError) else None
    see = halves(words("see_help", command=ctx.command_path)) if ctx is not None else _NOWHERE
    return both(("{told}{see}", "{told}{see}"), told=halves(_told(wrong, ctx)), see=see)


def _told(wrong: ClickException, ctx: Context | None) -> str:
    match wrong:
        case NoSuchOption():
            return words("no_option", option=wrong.option_name, near=_near(wrong.possibilities or ()))
        case BadOptionUsage():
            needs = "requires" in wrong.message
            return words("needs_value" if needs else "takes_no_value", option=wrong.option_name)
        case BadParameter(param=TyperOption() | TyperArgument() as param):
            return both(("{name} {wanted}", "{name} {wanted}"), name=typed(param), wanted=halves(_wanted(wrong, param)))
        case UsageError() if ctx is not None and "extra argument" in wrong.message:
            takes = [typed(each) for each in ctx.command.params if isinstance(each, TyperArgument)]
            return words("too_many_words", command=" ".join((ctx.command_path, *takes)))
        case _:
            return wrong.format_message()


def _wanted(wrong: BadParameter, param: TyperOption | TyperArgument) -> str:
    from pydantic import ValidationError  # noqa: PLC0415 – every command would wait for it
    from tepat_chassis.wanted import wanted  # noqa: PLC0415

    kind = param.type_descriptor
    error: dict[str, Any] = {"type": "", "msg": wrong.message}
    if isinstance(wrong, MissingParameter):
        error = {"type": "missing"}
    elif kind.choices is not None:
        *most, last = [str(getattr(each, "value", each)) for each in kind.choices]
        error = {"type": "literal_error", "ctx": {"expected": f"{', '.join(most)} or {last}"}}
    elif kind.is_datetime:
        error = {"type": "date_parsing"}
    elif isinstance(wrong.__cause__, ValidationError):
        error = {**wrong.__cause__.errors(include_input=False, include_url=False)[0]}
    return wanted(error)


def typed(param: TyperOption | TyperArgument) -> str:
    """An option or argument as it is typed: `--basis`, `CASE`."""
    return param.opts[0] if isinstance(param, TyperOption) else param.metavar or str(param.name).upper()


def _near(names: Sequence[str]) -> Said:
    return halves(words("perhaps", names=(" or ".join(names), " atau ".join(names)))) if names else _NOWHERE
