"""What people read, in English and in Indonesian: agencies, operators and officers read either."""

from typing import Final

Said = tuple[str, str]
"""The same in English and in Indonesian, with the same places in braces to fill in, as of ``str.format``."""
BETWEEN: Final = " / "


def filled(said: Said, /, **told: object) -> Said:
    """The two, filled in; what is itself said differently in the two comes as a pair.

    Raises KeyError where a place to fill in is not told of.
    """
    english, indonesian = (
        text.format(**{name: each[n] if isinstance(each, tuple) else each for name, each in told.items()})
        for n, text in enumerate(said)
    )
    return english, indonesian


def both(said: Said, /, **told: object) -> str:
    """The two in one line, as `filled` has them."""
    return BETWEEN.join(filled(said, **told))


def halves(line: str) -> Said:
    """The two again, of such a line; of any other text twice the whole."""
    english, _, indonesian = line.partition(BETWEEN)
    return (english, indonesian) if indonesian and BETWEEN not in indonesian else (line, line)
