"""How numbers are shown, and text from outside: nothing in it can hide, turn the line around or name the machine."""

import math
import re

_PARTS = 2
_NO_BREAK = "\u00a0"  # a space where no line ends
_KEPT = "\n\t" + _NO_BREAK
_ROUNDING = 1e-4  # of a thousandth: a float32 such as 0.9 is a little under it


def shown(text: str) -> str:
    """The text with each character that cannot be seen, or that no file can hold, written as its number."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in _KEPT else f"\\u{ord(each):04x}" for each in text)


def shown_file(name: str) -> str:
    """The last two parts of a file's path, which are its label and its own name."""
    return shown("/".join([part for part in re.split(r"[/\\]", name) if part][-_PARTS:]))


def percent(share: float, digits: int = 1) -> str:
    """A share as a person reads it, such as `94.6 %`; what is not all is never rounded to all."""
    text = f"{100 * share:.{digits}f}"
    all_but_a_little = share < 1 and text.startswith("100")
    return f"> {100 - 10**-digits:.{digits}f}{_NO_BREAK}%" if all_but_a_little else f"{text}{_NO_BREAK}%"


def score(value: float) -> str:
    """A score or a threshold, cut off after three digits, so that no score under a threshold looks like one at it."""
    return f"{math.floor(1000 * value + _ROUNDING) / 1000:.3f}"


def number_of(number: int, one: str) -> str:
    """How many there are of something, such as `1 photo` or `1,200 photos`."""
    return f"{count(number)} {one}" if number == 1 else f"{count(number)} {one}s"


def count(number: int) -> str:
    """A whole number as a person reads it, such as `10,000`."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """A time as a person reads it, such as `39 min`."""
    hours, minutes = int(seconds) // 3600, int(seconds) % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {int(seconds) % 60:02} s" if minutes else f"{seconds:.0f} s"
