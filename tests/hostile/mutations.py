"""Inputs for parsers: valid samples with damage, pieces of them repeated, and noise. The same for the same seed."""

from __future__ import annotations

import copy
import random
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

Make = Callable[[random.Random], bytes]

#: What parsers of bytes stumble over.
TOKENS = (
    *(b"\0", b"\xff", b"\x80", b"\n", b"\r\n", b" ", b"\t", b"(", b")", b"[", b"]", b"{", b"}", b"'", b'"', b"\\"),
    *(b":", b"=", b"/", b"-", b"--", b"#", b"@", b"$", b"%", b"&", b"|", b";", b",", b"..", b"://"),
    *(b"0", b"-1", b"9" * 20, b"9" * 5000, b"1e999", b"NaN", b"Infinity", b"0x10", b"\xd9\xa1\xd9\xa2"),
    *("\u202e".encode(), "\ufeff".encode(), "\u2028".encode(), b"\xed\xa0\x80", b"\xf4\x8f\xbf\xbf", b"\\ud800"),
    *(b"[" * 3000, b"{" * 3000, b"(" * 3000, b"\\" * 500, b"a" * 5000, b'{"a":' * 1500),
    *(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"),
)


def mutations(samples: Sequence[bytes], most: int) -> Make:
    """Makes inputs of at most this many bytes out of these samples."""

    def make(chance: random.Random) -> bytes:
        kind = chance.random()
        if kind < 0.08:
            return chance.randbytes(min(most, chance.choice((1, 8, 64, 600))))
        if kind < 0.14:
            return pumped(chance, samples, min(most, 4096))
        data = bytearray(chance.choice(samples))
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6, 12))):
            _damage(data, chance, samples)
        return bytes(data[:most])

    return make


def _damage(data: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 1, 2, 4, 16, 64)))
    how = chance.randrange(7)
    if how == 0 and start < len(data):
        data[start] ^= 1 << chance.randrange(8)
    elif how == 1:
        data[start:end] = b""
    elif how == 2:
        data[start:end] = bytes(data[start:end]) * chance.choice((2, 3, 50))
    elif how == 3:
        data[start:end] = chance.choice(TOKENS)
    elif how == 4:
        other = chance.choice(samples)
        place = chance.randrange(len(other) + 1)
        data[start:end] = other[place : place + chance.choice((4, 32, 256))]
    elif how == 5:
        data[start:] = b""
    else:
        data[start:end] = chance.randbytes(end - start)


def pumped(chance: random.Random, samples: Sequence[bytes], size: int) -> bytes:
    """About this many bytes: the beginning of a sample, a piece that is repeated, and the end of a sample."""
    head, tail, sample = chance.choice(samples), chance.choice(samples), chance.choice(samples)
    place = chance.randrange(len(sample) + 1)
    piece = sample[place : place + chance.choice((1, 2, 3, 8, 40))] or b"a"
    if chance.random() < 0.4:
        piece = chance.choice([each for each in TOKENS if len(each) < 21]) + (piece if chance.random() < 0.5 else b"")
    head = head[: chance.randrange(len(head) + 1)]
    tail = tail[chance.randrange(len(tail) + 1) :] if chance.random() < 0.7 else b"!"
    return head + piece * max(1, (size - len(head) - len(tail)) // len(piece)) + tail


def repeated(piece: bytes, head: bytes = b"", tail: bytes = b"") -> Callable[[int], bytes]:
    """Makes a piece that is repeated until there are so many bytes."""
    return lambda size: head + piece * (max(0, size - len(head) - len(tail)) // len(piece)) + tail


def damaged(value: Any, chance: random.Random) -> Any:
    """A JSON value with some of it replaced, left out, repeated, or put in."""
    found = copy.deepcopy(value)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        spots = list(_places(found))
        if not spots:
            return found
        where, key = chance.choice(spots if chance.random() < 0.7 else spots[:20])  # the outermost come first
        how = chance.randrange(6)
        if how == 0:
            del where[key]
        elif how == 1 and isinstance(where, dict):
            where[chance.choice((key, "pid", "reason", "name", ""))] = _junk(chance)
        elif how == 2 and isinstance(where, list):
            where.extend([where[key]] * chance.choice((1, 30)))
        elif how == 5 and isinstance(where[key], str) and where[key]:
            place = chance.randrange(len(where[key]))
            where[key] = where[key][:place] + chance.choice("0139:-Zz \n\u202e") + where[key][place + 1 :]
        elif how == 3:
            other, its = chance.choice(spots)
            where[key] = copy.deepcopy(other[its]) if its in other or isinstance(other, list) else None
        else:
            where[key] = _junk(chance)
    return found


def _places(value: Any) -> Iterator[Tuple[Any, Any]]:
    waiting: List[Any] = [value]
    while waiting:
        each = waiting.pop()
        keys: List[Any] = (
            list(each) if isinstance(each, dict) else list(range(len(each))) if isinstance(each, list) else []
        )
        for key in keys:
            yield each, key
            waiting.append(each[key])


def _junk(chance: random.Random) -> Any:
    deep: Any = "end"
    for _ in range(chance.choice((2, 30, 400))):
        deep = [deep]
    several: Dict[str, Any] = {"": None, "a": [1], "\u202e": "x"}
    return chance.choice(
        [
            *(None, True, False, 0, -1, 1, 4001, 2**63, 10**30, 0.5, -1e308, 1e308, float("nan"), float("inf")),
            *("", "x", "healthy", "unknown", "2027-02-30T09:00:00Z", "\x1b[2J", "half \udcff", "\u202e", "a" * 5000),
            *([], {}, [None], several, deep),
        ]
    )
