"""Indonesian names, brought to a form in which one name is written one way.

What varies for one person from list to list is taken away: case, titles (H., Hj., Drs.), degrees (S.Pd.), the forms of
Muhammad, the spelling of before 1972 (Djoko, Soetjipto), and letters that sound alike (Achmad, Akhmad, Ahmad). Soundex,
made for English, would merge half of the country.

Invariants
- The form of a form is itself.
- A name never comes out empty: one that is nothing but titles stays as it is.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

TITLES: Final = frozenset({
    "h", "hj", "hjh", "haji", "hajah", "hajjah", "kh", "kyai", "kiai", "nyai", "ust", "ustad", "ustadz", "ustadzah",
    "dr", "drs", "dra", "drg", "drh", "ir", "prof", "rd", "raden", "rr", "rm", "alm", "almh", "almarhum", "almarhumah",
    "bpk", "bapak", "ibu", "sdr", "sdri", "tn", "ny", "nj", "nn", "bin", "binti",
})  # fmt: skip

#: Left out wherever another name stands beside it: of all names, lists agree least on whether and how to write this.
MUHAMMAD: Final = "muhamad"
_MUHAMMAD: Final = frozenset({
    "muh", "moh", "mohd", "muhd", "mhd", "mohamad", "mohamed", "muhamed", "muhamat", "mohamat", "mukamad", "m",
})  # fmt: skip
_SHORT: Final = {
    "abd": "abdul", "abdur": "abdul", "st": "siti", "ah": "ahmad", "ahmed": "ahmad", "ahmat": "ahmad",
}  # fmt: skip

_DEGREES: Final = re.compile(
    r"(?<=\S)(?:\s*,.*|(?:\s+(?:A\.?\s?M[Dd]|[SMD])\.\s?[A-Z][A-Za-z]{0,4}(?:\.\s?[A-Z][A-Za-z]{0,4})*\.?)+)\s*$"
)
#: What is written where no name is known.
_NONE: Final = frozenset({
    "tanpa nama", "tidak ada nama", "tidak ada", "tidak diketahui", "tidak tahu", "belum ada nama", "belum ada",
    "belum diberi nama", "belum bernama", "belum diketahui", "tak bernama", "tak dikenal", "nama", "nama tidak ada",
    "no name", "noname", "nn", "n a", "null", "none", "nihil", "kosong", "unknown", "anonim",
})  # fmt: skip
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_WORD: Final = re.compile(r"[a-z]+|[0-9]+")
_OLD: Final = re.compile(r"dj|tj|^nj|sj|oe")
_OLD_Y: Final = re.compile(r"(?<![dtns])j")
_ANEW: Final = (("dj", "j"), ("tj", "c"), ("nj", "ny"), ("sj", "sy"), ("oe", "u"))
_ALIKE: Final = (
    ("ch", "h"), ("kh", "h"), ("ph", "p"), ("f", "p"), ("v", "p"), ("th", "t"), ("dh", "d"), ("sy", "s"), ("z", "s"),
    ("q", "k"), ("x", "ks"), ("oo", "u"), ("ee", "i"), ("y", "i"), ("ae", "e"), ("ai", "e"), ("ei", "e"),
)  # fmt: skip
_AGAIN: Final = re.compile(r"([a-z])\1+")


def form(name: str) -> tuple[str, ...]:
    """The words of a name in their one form and in their order, without titles and degrees; at least one.

    >>> form("H. Achmad Djoko Soesilo, S.Pd.")
    ('ahmad', 'joko', 'susilo')
    >>> form("MUH. YUSUF") == form("Mohammad Yusup") == form("Yusuf")
    True
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = _WORD.findall(_DEGREES.sub("", plain).lower().replace("'", ""))
    old = any(map(_OLD.search, words))
    spelled = [_spelled(word, old) for word in words]
    kept = [now for word, now in zip(words, spelled, strict=True) if TITLES.isdisjoint((word, now))] or spelled
    others = [word for word in kept if word != MUHAMMAD]
    longer = [word for word in others if len(word) > 1 or word.isdigit()]  # without initials, where more is known
    told = longer or others or kept[:1]
    return tuple(told or [name.strip().casefold()])


def tells(name: str) -> bool:
    """Whether a name tells persons apart: not one with digits, of one letter or none, or that says that none is known.

    >>> [tells(name) for name in ("Siti", "Tanpa Nama", "-", "Orang12", "XXX")]
    [True, False, False, False, False]
    """
    words = _LETTERS.findall(name.casefold())
    return len({*"".join(words)}) > 1 and not any(map(str.isdigit, name)) and " ".join(words) not in _NONE


@lru_cache(maxsize=100_000)
def _spelled(word: str, old: bool) -> str:
    """A word as it is spelled today, letters that sound alike made one; ``old``: its name is in the old spelling."""
    if old:
        word = _OLD_Y.sub("y", word)
        for was, now in _ANEW:
            word = word.replace(was, now)
    before = ""
    while before != word:
        before = word
        for one, other in _ALIKE:
            word = word.replace(one, other)
        word = _AGAIN.sub(r"\1", word)
        if len(word) > 3:
            word = word.removesuffix("h")
    return MUHAMMAD if word in _MUHAMMAD else _SHORT.get(word, word)
