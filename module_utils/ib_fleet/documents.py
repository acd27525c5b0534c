"""Fleet documents as files: written the same way every time, and read only when they are what the schema says."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.ib_fleet.files import ReportError, why
from ansible.module_utils.ib_fleet.text import visible
from ansible.module_utils.ib_gateway.fleet import SCHEMA

_SHOWN = 3
_SCHEMA_FILE = (
    Path(__file__).resolve().parents[2] / "roles" / "ib_fleet_report" / "files" / "schema" / "ib-fleet-1.schema.json"
)


def text(fleet: Mapping[str, Any]) -> str:
    """A document as its file holds it: keys sorted, everything beyond ASCII escaped, so that any tool can show it."""
    return json.dumps(fleet, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


@functools.lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema of a document."""
    found: dict[str, Any] = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return found


def problems(fleet: Any) -> list[str]:
    """Where a document is not what the schema says; nothing when it is."""
    # Checking takes jsonschema, writing does not: only who reads a stranger's document needs it.
    from jsonschema import Draft202012Validator

    version = fleet.get("schema") if isinstance(fleet, Mapping) else None
    if version != SCHEMA:
        return [visible(f"its schema is {version!r} and not {SCHEMA!r}")]
    found = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(fleet)
    return [visible(f"{each.json_path}: {each.message[:300]}") for each in found]


def read(path: Path) -> dict[str, Any]:
    """A document from its file, checked."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {why(error)}") from error
    except ValueError as error:
        raise ReportError(f"{path} is no JSON: {error}") from error
    wrong = problems(found)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ReportError(f"{path} is no fleet document this version reads: {'; '.join(wrong[:_SHOWN])}{more}")
    checked: dict[str, Any] = found
    return checked
