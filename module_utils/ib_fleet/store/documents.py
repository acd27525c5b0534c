"""Fleet documents as files: written the same way every time, and read only when they are what the schema says."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ...ib_audit.report.document import SCHEMA as AUDIT_SCHEMA
from ..document.bounds import MOST_OF_A_FLEET, excess
from ..document.fleet_document import SCHEMA
from ..document.report_error import ReportError
from ..document.text import visible
from . import files

_SHOWN = 3
_MOST_MESSAGE, _MOST_PROBLEMS = 300, 100
#: A document of five thousand hosts has a tenth of it.
_MOST_BYTES = 1 << 28
_SCHEMAS = Path(__file__).resolve().parents[3] / "roles" / "ib_fleet_report" / "files" / "schema"
FLEET, AUDIT, ANSWERS = "ib-fleet-1", "ib-client-audit-1", "ib-answers-1"
#: What a document says of itself, by the schema it is checked against.
_VERSIONS = {FLEET: SCHEMA, AUDIT: AUDIT_SCHEMA}


def text(fleet: Mapping[str, Any]) -> str:
    """A document as its file holds it: keys sorted, everything beyond ASCII escaped, so that any tool can show it."""
    return json.dumps(fleet, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


@functools.lru_cache(maxsize=3)
def schema(name: str = FLEET) -> dict[str, Any]:
    """The JSON Schema of a document, or of what hosts answer."""
    found: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


@functools.lru_cache(maxsize=None)
def _validator(name: str, part: str) -> Any:
    """What checks a value against a schema, or against one of its $defs."""
    # Checking takes jsonschema, writing does not: only who reads what a stranger said needs it.
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    registry: Any = Registry().with_resources(
        [(schema(each)["$id"], Resource.from_contents(schema(each))) for each in (FLEET, AUDIT, ANSWERS)]
    )
    wanted = {"$ref": "%s#/$defs/%s" % (schema(name)["$id"], part)} if part else schema(name)
    formats = FormatChecker(())
    formats.checks("date-time", raises=ValueError)(_is_moment)
    return Draft202012Validator(wanted, registry=registry, format_checker=formats)


def _is_moment(value: object) -> bool:
    """Whether the calendar has this time; how it is written is for the schema's pattern. Raises ValueError."""
    if isinstance(value, str):
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    return True


def first_problem(found: Any, name: str, part: str) -> str:
    """Where a value, of strangers and within bounds.excess(), is not what a schema's part says; empty when it is."""
    wrong = next(_validator(name, part).iter_errors(found), None)
    return visible(f"{wrong.json_path}: {wrong.message[:_MOST_MESSAGE]}"[:_MOST_MESSAGE]) if wrong else ""


def problems(found: Any, name: str = FLEET) -> list[str]:
    """Where a document is not what the schema says; nothing when it is."""
    too_much = excess(found, MOST_OF_A_FLEET)
    if too_much:
        return [too_much]
    version, wanted = found.get("schema") if isinstance(found, Mapping) else None, _VERSIONS[name]
    if version != wanted:
        return [visible(f"its schema is {version!r} and not {wanted!r}"[:_MOST_MESSAGE])]
    errors = itertools.islice(_validator(name, "").iter_errors(found), _MOST_PROBLEMS)
    return [visible(f"{each.json_path}: {each.message[:_MOST_MESSAGE]}") for each in errors]


def read(path: Path, name: str = FLEET) -> dict[str, Any]:
    """A document from its file, checked."""
    try:
        found = json.loads(files.read(path, _MOST_BYTES))
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {files.why(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is no JSON: {error}") from error
    wrong = problems(found, name)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        what = "fleet document" if name == FLEET else "audit document"
        raise ReportError(f"{path} is no {what} this version reads: {'; '.join(wrong[:_SHOWN])}{more}")
    checked: dict[str, Any] = found
    return checked
