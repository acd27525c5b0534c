"""One record of the journal: its shape, its line, and moments that clock jumps do not move. Pure.

A line is `{"v":1,"n":17,...,"crc":"1a2b3c4d"}`, the checksum being crc32 of the line without its crc. Whoever reads one
takes it for a stranger's: what is not exactly what this project writes is refused with a ValueError that says why.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Mapping, NoReturn, Optional, Tuple

from ..base.plain_text import plain_text
from ..base.redaction import redact_argv

BEGIN = "begin"
INTENT = "intent"
OUTCOME = "outcome"
REFUSE = "refuse"
DEFER = "defer"
END = "end"
RELEASE = "release"
CHECKPOINT = "checkpoint"
KINDS = (BEGIN, INTENT, OUTCOME, REFUSE, DEFER, END, RELEASE, CHECKPOINT)

DONE = "done"
REFUSED = "refused"
FAILED = "failed"
UNKNOWN = "unknown"
#: What an outcome can be.
RESULTS = (DONE, REFUSED, FAILED, UNKNOWN)

SUCCESS = "success"
FAILURE = "failure"

#: The longest line of anything but a checkpoint, in bytes.
LONGEST = 8192
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')
_GATEWAY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,199})?")
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:([Zz])|([+-])(\d\d):(\d\d))")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = 253402300799  # the end of the year 9999
_MOST_ITEMS = 32


@dataclass(frozen=True)
class Moment:
    """A point in time, twice: seconds since the epoch, which people may set, and since boot, which they may not."""

    at: float
    boot_id: str
    boottime: float


@dataclass(frozen=True)
class Record:
    """One thing that was written down. n: its number. at: seconds since the epoch. intent: the n it is the outcome of.

    kept: in a checkpoint, the records of older files that still matter.
    """

    n: int
    kind: str
    at: float
    boot_id: str
    boottime: float
    run: str
    by: str
    gateway: str = ""
    action: str = ""
    result: str = ""
    reason: str = ""
    intent: int = 0
    target: Mapping[str, Any] = field(default_factory=dict)
    kept: Tuple[Record, ...] = ()

    @property
    def when(self) -> str:
        """When it was written, RFC 3339 UTC."""
        return rfc3339(self.at)


def rfc3339(at: float) -> str:
    """Seconds since the epoch as RFC 3339 UTC; what no calendar has is moved to its nearest end."""
    return (_EPOCH + timedelta(seconds=int(min(max(at, 0.0), _LAST)))).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 text with its zone. Raises ValueError."""
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError("%r is no time like 2026-11-22T18:00:00Z" % clean(text, 60))
    parts = [int(part) for part in found.groups()[:6]]
    shift = timedelta()
    if found.group(8):
        shift = timedelta(hours=int(found.group(9)), minutes=int(found.group(10)))
        shift = -shift if found.group(8) == "-" else shift
    try:
        moment = datetime(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], tzinfo=timezone.utc)
        return float((moment - _EPOCH - shift).total_seconds())
    except (ValueError, OverflowError):
        raise ValueError("%r is no time of the calendar" % clean(text, 60)) from None


def age(record: Record, now: Moment) -> float:
    """Seconds since a record was written, never negative.

    Within a boot only the clock that nobody can set counts. Over a reboot the wall clock does, but it is at least as
    long ago as the boot is, so that a clock that was ahead once does not hold a gateway for years.
    """
    if record.boot_id and record.boot_id == now.boot_id:
        return max(0.0, now.boottime - record.boottime)
    return max(0.0, now.at - record.at, now.boottime)


def clean(text: str, limit: int = 200) -> str:
    """A person's or stranger's text as it may be kept and shown: one line, no control characters, no secrets."""
    printable = str(text)[: 20 * limit].encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join(plain_text(printable, limit).split())


def is_gateway_name(text: str) -> bool:
    """Whether a text can be the name of an inventory's entry, as far as the journal is concerned."""
    return bool(text) and bool(_GATEWAY.fullmatch(text))


def bounded(value: Any, depth: int = 3) -> Any:
    """A value made fit for a record: its texts cleaned, its lists and dictionaries cut, nothing JSON cannot hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 64 else clean("%#x" % value, 40)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth:
        return {clean(str(key), 60): bounded(each, depth - 1) for key, each in list(value.items())[:_MOST_ITEMS]}
    if isinstance(value, (list, tuple)) and depth:
        items = list(value)[:_MOST_ITEMS]
        if items and all(isinstance(each, str) for each in items):
            items = list(redact_argv(items, 200))  # it may be a command line
        return [bounded(each, depth - 1) for each in items]
    return clean(str(value))


# --- lines -----------------------------------------------------------------------------------------------------------

_TEXTS = {"gateway": 200, "action": 60, "result": 20, "reason": 300}


def format_line(record: Record) -> bytes:
    """The record's line with its newline. A target that makes it longer than LONGEST is left out."""
    body = json.dumps(_plain(record), separators=(",", ":"), allow_nan=False).encode("ascii")
    if len(body) > LONGEST - 64 and record.target:
        plain = dict(_plain(record), target={"left_out": "it was too long"})
        body = json.dumps(plain, separators=(",", ":"), allow_nan=False).encode("ascii")
    return b'%s,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body) & 0xFFFFFFFF)


def _plain(record: Record) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "v": 1,
        "n": record.n,
        "at": record.when,
        "boot_id": record.boot_id,
        "boottime": round(record.boottime, 3),
        "run": record.run,
        "by": record.by,
        "gateway": record.gateway,
        "kind": record.kind,
    }
    for key in ("action", "result", "reason", "intent", "target"):
        if getattr(record, key):
            found[key] = getattr(record, key)
    if record.kind == CHECKPOINT:
        found["kept"] = [_plain(each) for each in record.kept]
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError("it holds %s, which is no number" % text)


def _short_int(text: str) -> int:
    if len(text) > 25:
        raise ValueError("it holds a number of %d digits" % len(text))
    return int(text)


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_short_int
)  # made once: it costs more than a line


def load_json(data: bytes) -> Any:
    """What JSON bytes say; whatever is wrong with them is a ValueError. For what a stranger may have written."""
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("it is no JSON") from None


def parse_line(line: bytes) -> Record:
    """The record of a line without its newline. Raises ValueError that says what is wrong, without quoting it."""
    found = _CRC.search(line)
    if not found:
        raise ValueError("it has no checksum")
    body = line[: found.start()] + b"}"
    if b"%08x" % (zlib.crc32(body) & 0xFFFFFFFF) != found.group(1):
        raise ValueError("its checksum is wrong")
    raw = load_json(body)
    if not isinstance(raw, dict):
        raise ValueError("it is no object")
    record = _record(raw)
    if record.kind != CHECKPOINT and len(line) > LONGEST:
        raise ValueError("it is longer than %d bytes" % LONGEST)
    return record


def _record(raw: Mapping[str, Any]) -> Record:
    if _whole(raw, "v") != 1:
        raise ValueError("it was written by another version of this project")
    kind = _text(raw, "kind", 20)
    if kind not in KINDS:
        raise ValueError("its kind is not known")
    boottime = raw.get("boottime")
    if isinstance(boottime, bool) or not isinstance(boottime, (int, float)) or not 0 <= boottime < 1e12:
        raise ValueError("its boottime is no time")
    gateway = _text(raw, "gateway", 200)
    if not _GATEWAY.fullmatch(gateway):
        raise ValueError("its gateway is no name")
    target = raw.get("target", {})
    if not isinstance(target, dict):
        raise ValueError("its target is no object")
    return Record(
        n=_whole(raw, "n"),
        kind=kind,
        at=epoch(_text(raw, "at", 60)),
        boot_id=_text(raw, "boot_id", 64),
        boottime=float(boottime),
        run=_text(raw, "run", 64),
        by=_text(raw, "by", 200),
        gateway=gateway,
        action=_text(raw, "action", 60),
        result=_text(raw, "result", 20),
        reason=_text(raw, "reason", 300),
        intent=_whole(raw, "intent", 0),
        target=target,
        kept=_kept(raw) if kind == CHECKPOINT else (),
    )


def _kept(raw: Mapping[str, Any]) -> Tuple[Record, ...]:
    rows = raw.get("kept")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("kind") != CHECKPOINT for row in rows):
        raise ValueError("what it keeps is no list of records")
    kept = tuple(_record(row) for row in rows)
    numbers = [each.n for each in kept] + [_whole(raw, "n")]
    if any(later <= earlier for earlier, later in zip(numbers, numbers[1:])):
        raise ValueError("what it keeps is not in order")
    return kept


def _whole(raw: Mapping[str, Any], key: str, default: Optional[int] = None) -> int:
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("its %s is no whole number" % key)
    return value


def _text(raw: Mapping[str, Any], key: str, most: int) -> str:
    value = raw.get(key, "")
    if not isinstance(value, str) or len(value) > most:
        raise ValueError("its %s is no text of at most %d characters" % (key, most))
    return value
