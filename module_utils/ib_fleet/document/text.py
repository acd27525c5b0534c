"""Text of strangers made harmless to look at: nothing in it moves a cursor, turns a line round or hides. Pure."""

from __future__ import annotations

from typing import Any


def visible(value: object) -> str:
    """A text on one line, every character that has no shape of its own written as its escape.

    That takes terminal escapes, line breaks, marks that change the direction of writing, characters of no width and
    what is no character at all (half of a surrogate pair).
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 host, 2 hosts."""
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def harmless(text: str) -> str:
    """A text that may break where its author broke it, such as a message of Ansible's, and does nothing else."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def all_visible(value: Any) -> Any:
    """The same for every text in a value of dicts and lists; numbers, truth values and None stay what they are."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): all_visible(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [all_visible(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float)) else visible(value)
