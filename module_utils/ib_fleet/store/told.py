"""What a person was told last of each gateway that is not well, as a file beside the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..document import notices
from ..document.report_error import ReportError
from . import files

FILE = "notices.json"
_MOST_BYTES = 1 << 24


def read(folder: Path) -> dict[str, dict[str, str]]:
    """By host and gateway the state that was told last; empty where nobody was ever told of anything.

    Raises ReportError for a file that no run of ours wrote.
    """
    try:
        found = json.loads(files.read(folder / FILE, _MOST_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReportError(f"{folder / FILE} cannot be read: {files.why(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{folder / FILE} is no JSON: {error}") from error
    if not _is_told(found):
        raise ReportError(f"{folder / FILE} does not say by host and gateway what was told last")
    told: dict[str, dict[str, str]] = found
    return told


def write(folder: Path, told: notices.Told) -> None:
    """Puts it in its place. Raises ReportError."""
    files.write(folder / FILE, json.dumps(told, indent=1, sort_keys=True) + "\n")


def _is_told(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(each, dict) and all(state in notices.STATES for state in each.values()) for each in found.values()
    )
