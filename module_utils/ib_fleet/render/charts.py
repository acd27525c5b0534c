"""Small charts as inline SVG: no script, no style attribute, every one with a text for who does not see it. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional, Tuple

from markupsafe import Markup

from ..document.fleet_document import STATUSES
from ..document.incidents import seconds_between
from ..document.text import visible

#: When, the status, and the handshake in milliseconds where one was made.
Moment = Tuple[str, str, Optional[float]]
_STRIP_HEIGHT, _LINE_HEIGHT, _STACK_HEIGHT = 10, 34, 84


def _svg(css: str, width: float, height: float, told: str, parts: Iterable[Markup], stretch: bool = False) -> Markup:
    aspect = Markup(' preserveAspectRatio="none"') if stretch else Markup("")
    return Markup('<svg class="{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}"{}>{}</svg>').format(
        css, width, height, visible(told), aspect, Markup("").join(parts)
    )


def strip(moments: Sequence[Moment], step: int = 6) -> Markup:
    """A host's status over time: a bar for each sweep, oldest first; the worse, the taller."""
    if not moments:
        return Markup("")
    # One path for each status, not one shape for each bar: a page of a thousand hosts has to stay light.
    paths: dict[str, str] = {}
    for index, (_at, status, _took) in enumerate(moments):
        height = 3 + round(7 * STATUSES.index(status) / (len(STATUSES) - 1))
        paths[status] = paths.get(status, "") + f"M{index * step} {_STRIP_HEIGHT}v-{height}h{step - 1}v{height}z"
    bars = [Markup('<path class="f-{}" d="{}"/>').format(status, path) for status, path in paths.items()]
    told = "status in the last %d sweeps: %s" % (len(moments), _runs([status for _, status, _ in moments]))
    return _svg("strip", len(moments) * step, _STRIP_HEIGHT, told, bars, stretch=True)


def _runs(statuses: Sequence[str]) -> str:
    """Equal neighbours told once: `healthy 3 times, then unhealthy`."""
    found = [(name, len(list(each))) for name, each in itertools.groupby(statuses)]
    return ", then ".join(name if count == 1 else "%s %d times" % (name, count) for name, count in found)


def line(moments: Sequence[Moment], step: int = 12) -> Markup:
    """A host's handshake time over the sweeps; a gap where none was made."""
    known = [(index, took) for index, (_, _, took) in enumerate(moments) if took is not None]
    if len(known) < 2:
        return Markup("")
    top = max(took for _, took in known) or 1.0
    points = [(index * step + 4, round(_LINE_HEIGHT - 4 - (_LINE_HEIGHT - 8) * took / top, 1)) for index, took in known]
    path, last = "", None
    for (x, y), (index, _) in zip(points, known):
        path += "%s%g %g" % ("L" if last == index - 1 else "M", x, y)
        last = index
    parts = [Markup('<path d="{}"/>').format(path)]
    parts += [Markup('<circle cx="{:g}" cy="{:g}" r="1.8"/>').format(x, y) for x, y in points]
    return _svg("line", max(step * len(moments), 24), _LINE_HEIGHT, span(moments), parts)


def span(moments: Sequence[Moment]) -> str:
    """A host's handshake over the sweeps in words."""
    known = [took for _, _, took in moments if took is not None]
    if len(known) < 2:
        return ""
    return f"handshake over {len(known)} sweeps: {min(known):.1f} to {max(known):.1f} ms, last {known[-1]:.1f} ms"


def stages(timings: Mapping[str, float]) -> Markup:
    """One API handshake as a bar, its parts the stages in their order, each with its name and time in words."""
    total = sum(timings.values())
    if not total:
        return Markup("")
    parts, at = [], 0.0
    for index, (stage, took) in enumerate(timings.items()):
        width = 100 * took / total
        title = "%s %.1f ms" % (visible(stage.replace("_", " ")), took)
        parts.append(
            Markup('<rect class="g{}" x="{:g}" y="0" width="{:g}" height="4"><title>{}</title></rect>').format(
                index % 6, round(at, 2), round(width, 2), title
            )
        )
        at += width
    told = ", ".join("%s %.1f" % (stage.replace("_", " "), took) for stage, took in timings.items())
    stages = _svg("stages", 100, 4, "handshake by stage in ms: %s" % told, parts, stretch=True)
    words = Markup("").join(
        Markup('<span class="g{}">{} <b>{:.1f}</b></span>').format(index % 6, visible(stage.replace("_", " ")), took)
        for index, (stage, took) in enumerate(timings.items())
    )
    return Markup('{}<p class="legend">{}<span>total <b>{:.1f} ms</b></span></p>').format(stages, words, total)


def stack(sweeps: Sequence[Tuple[str, Mapping[str, int]]], step: int = 10) -> Markup:
    """The fleet over time: a column for each sweep, its parts the statuses, the worst at the top."""
    tallest = max((sum(counts.values()) for _, counts in sweeps), default=0)
    if not tallest or len(sweeps) < 2:
        return Markup("")
    parts = []
    for index, (at, counts) in enumerate(sweeps):
        base, told = float(_STACK_HEIGHT), ", ".join("%d %s" % (counts[s], s) for s in STATUSES if counts.get(s))
        parts.append(Markup("<g><title>{}: {}</title>").format(visible(at), told))
        for status in STATUSES:
            height = _STACK_HEIGHT * counts.get(status, 0) / tallest
            if height:
                # What is there is seen, however small its share.
                height = max(height, 2.0) if status != "healthy" else height
                base -= height
                parts.append(
                    Markup('<rect class="f-{}" x="{}" y="{:g}" width="{}" height="{:g}"/>').format(
                        status, index * step, max(round(base, 1), 0), step - 2, round(height, 1)
                    )
                )
        parts.append(Markup("</g>"))
    first, last = sweeps[0], sweeps[-1]
    told = "statuses over %d sweeps from %s to %s" % (len(sweeps), first[0], last[0])
    return _svg("stack", len(sweeps) * step, _STACK_HEIGHT, told, parts, stretch=True)


def timeline(name: str, first: str, last: str, spans: Sequence[Tuple[str, str, str]]) -> Markup:
    """A gateway from one moment to another; spans: from when to when it was not healthy, and why."""
    whole = seconds_between(first, last) or 0.0
    if whole <= 0:
        return Markup("")
    parts = [Markup('<rect class="f-healthy" x="0" y="0" width="1000" height="10"/>')]
    for begun, ended, why in spans:
        at = min(max((seconds_between(first, begun) or 0.0) / whole, 0.0), 1.0) * 1000
        to = min(max((seconds_between(first, ended) or 0.0) / whole, 0.0), 1.0) * 1000
        # What is there is seen, however short it was.
        left, width = round(min(at, 996.0), 1), round(max(to - at, 4.0), 1)
        parts.append(
            Markup('<rect class="f-unhealthy" x="{:g}" y="0" width="{:g}" height="10"><title>{}</title></rect>').format(
                left, min(width, 1000 - left), visible("%s to %s: %s" % (begun, ended, why))
            )
        )
    told = "%s from %s to %s: not healthy %d times" % (name, first, last, len(spans))
    return _svg("timeline", 1000, 10, told, parts, stretch=True)


def share(counts: Mapping[str, int]) -> Markup:
    """How the fleet stands, as one bar."""
    total, at, parts = sum(counts.values()) or 1, 0.0, []
    for status in STATUSES:
        width = 100 * counts.get(status, 0) / total
        if width:
            parts.append(
                Markup('<rect class="f-{}" x="{:g}" y="0" width="{:g}" height="4"/>').format(
                    status, at, round(width, 2)
                )
            )
        at = round(at + width, 2)
    told = ", ".join("%d %s" % (counts[status], status) for status in STATUSES if counts.get(status)) or "no host"
    return _svg("share", 100, 4, told, parts, stretch=True)
