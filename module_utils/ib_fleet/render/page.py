"""A fleet document as one web page that needs nothing but itself. The template is roles/ib_fleet_report/templates."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from ...ib_gateway.base.probe import STAGES
from ..document import self_healing
from ..document.changes import Comparison
from ..document.fleet_document import KIND_AUDIT, STATUSES
from ..document.text import visible
from ..store.history import Point
from . import charts, past_views, problems, scripts, summaries, view_models, wording

#: Where the template, the style and the script are.
ROLE = Path(__file__).resolve().parents[3] / "roles" / "ib_fleet_report"


#: So many hosts that are not healthy are open from the start, the worst first: more than that nobody scrolls through.
_OPENED = 25


@dataclass(frozen=True)
class Past:
    """What the history knows: the fleet over time, each host over time, and what changed."""

    sweeps: Sequence[tuple[str, Mapping[str, int]]] = ()
    points: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    comparison: Optional[Comparison] = None


def page(fleet: Mapping[str, Any], past: Optional[Past] = None, folder: Path = ROLE) -> str:
    """The page. folder: where the template, the style and the script are."""
    past = past or Past()
    style = Markup((folder / "files" / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - the project's own file
    code = [(folder / "files" / name).read_text(encoding="utf-8") for name in ("tables.js", "page.js")]
    script = Markup("\n".join(code))  # noqa: S704 - likewise
    began = {(name, ""): found for name, points in past.points.items() if (found := problems.since(points))}
    began.update({key: each for key, each in past_views.begun(fleet).items() if key not in began})
    hosts = [view_models.host(each, past.points.get(each["name"], ())) for each in fleet["hosts"]]
    hosts.sort(key=lambda each: (-STATUSES.index(each.status), each.name))
    return template(folder).render(
        fleet=fleet,
        hosts=hosts,
        rows=[row for each in hosts for row in each.rows],
        statuses=list(reversed(STATUSES)),
        verdicts=sorted({row.verdict for each in hosts for row in each.rows}),
        groups=sorted({group for each in hosts for group in each.groups}),
        headline=problems.headline(fleet),
        healing=wording.sentence(self_healing.line(fleet)),
        problems=problems.problems(fleet, began),
        since=lambda host: problems.told(began.get((host, "")), fleet["generated_at"]),
        lasted=lambda *of: problems.lasted(problems.begun_of(began, *of), fleet["generated_at"]),
        pasts=past_views.by_host(fleet),
        opened={each.anchor for each in hosts[:_OPENED] if each.status != "healthy"},
        changes=summaries.changes(past.comparison),
        urgent=summaries.alerts(fleet),
        swept=fleet["kind"] != KIND_AUDIT,
        scripts=scripts.scripts(fleet.get("audit")),
        scripted=scripts.by_host(fleet.get("audit")),
        comparison=past.comparison,
        share=charts.share(fleet["summary"]["statuses"]),
        stack=charts.stack(past.sweeps),
        sweeps=past.sweeps,
        stages=STAGES,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


@functools.lru_cache(maxsize=1)
def template(folder: Path) -> Template:
    """The page's template, it and what it includes compiled once."""
    environment = Environment(
        loader=FileSystemLoader(folder / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_harmless,
    )
    environment.filters.update(
        breakable=wording.breakable,
        command=wording.command,
        moment=wording.moment,
        plain=wording.plain,
        sentence=wording.sentence,
    )
    return {name: environment.get_template(name) for name in environment.list_templates()}["index.html.j2"]


def _harmless(value: Any) -> Any:
    """Whatever a template puts out: what the project made stays, all else is escaped and can be seen."""
    return value if isinstance(value, Markup) or value is None else visible(value)


def _hash(text: str) -> str:
    """What a content security policy knows an inline script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
