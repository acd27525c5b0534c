"""Fleet documents as files: written the same way every time, and read only when they are what the schema says."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ib_audit.report.document import SCHEMA as AUDIT_SCHEMA
from ..document.fleet_document import SCHEMA
from ..document.report_error import ReportError
from ..document.text import visible
from .files import why

_SHOWN = 3
_SCHEMAS = Path(__file__).resolve().parents[3] / "roles" / "ib_fleet_report" / "files" / "schema"
FLEET, AUDIT = "ib-fleet-1", "ib-client-audit-1"
#: What a document says of itself, by the schema it is checked against.
_VERSIONS = {FLEET: SCHEMA, AUDIT: AUDIT_SCHEMA}


def text(fleet: Mapping[str, Any]) -> str:
    """A document as its file holds it: keys sorted, everything beyond ASCII escaped, so that any tool can show it."""
    return json.dumps(fleet, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


@functools.lru_cache(maxsize=2)
def schema(name: str = FLEET) -> dict[str, Any]:
    """The JSON Schema of a document."""
    found: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def problems(found: Any, name: str = FLEET) -> list[str]:
    """Where a document is not what the schema says; nothing when it is."""
    # Checking takes jsonschema, writing does not: only who reads a stranger's document needs it.
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    version, wanted = found.get("schema") if isinstance(found, Mapping) else None, _VERSIONS[name]
    if version != wanted:
        return [visible(f"its schema is {version!r} and not {wanted!r}")]
    registry: Any = Registry().with_resources(
        [(schema(each)["$id"], Resource.from_contents(schema(each))) for each in _VERSIONS]
    )
    validator = Draft202012Validator(
        schema(name), registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [visible(f"{each.json_path}: {each.message[:300]}") for each in validator.iter_errors(found)]


def read(path: Path, name: str = FLEET) -> dict[str, Any]:
    """A document from its file, checked."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {why(error)}") from error
    except ValueError as error:
        raise ReportError(f"{path} is no JSON: {error}") from error
    wrong = problems(found, name)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        what = "fleet document" if name == FLEET else "audit document"
        raise ReportError(f"{path} is no {what} this version reads: {'; '.join(wrong[:_SHOWN])}{more}")
    checked: dict[str, Any] = found
    return checked
