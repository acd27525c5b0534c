"""The page: whole in itself, harmless whatever is on it, readable without a script."""

from __future__ import annotations

import re
import resource
import time
from html.parser import HTMLParser
from typing import Any, Dict, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_fleet.document.changes import compare, known, open_findings
from ansible.module_utils.ib_fleet.render import charts
from ansible.module_utils.ib_fleet.render.page import Past, page
from ansible.module_utils.ib_fleet.render.view_models import in_words
from ansible.module_utils.ib_fleet.store.history import Point
from unit import fleets

VOID = {"meta", "link", "input", "col", "wbr"}
_KNOWN = """
a b body button caption code col colgroup circle dd details div dl dt footer form g h1 h2 h3 h4 h5 head header html
input label li link main meta ol option output p path rect script section select small span strong style summary
svg symbol table tbody td th thead time title tr ul use wbr
"""
KNOWN = set(_KNOWN.split())
#: What makes a browser fetch or run something.
LOADS = ("src", "srcset", "action", "data", "poster", "background", "style", "onclick", "onerror", "onload")


class Reader(HTMLParser):
    """Reads a page as a browser would and keeps what matters: tags, ids, links, what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: List[str] = []
        self.attributes: List[Tuple[str, str, Optional[str]]] = []
        self.open: List[str] = []
        self.wrong: List[str] = []
        self.text: List[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> List[str]:
        return [value or "" for _, each, value in self.attributes if each == name]


def past(document: Dict[str, Any]) -> Past:
    """A history in which everything was otherwise before."""
    moments = [Point("2026-11-2%dT08:00:00Z" % day, "unhealthy", 40.0 + day) for day in range(3)]
    before = {each["name"]: known(frozenset({("live", "not_listening")})) for each in document["hosts"]}
    counts = document["summary"]["statuses"]
    return Past(
        sweeps=[("2026-11-20T08:00:00Z", counts), ("2026-11-21T08:00:00Z", counts)],
        points={each["name"]: moments for each in document["hosts"]},
        comparison=compare("2026-11-21T08:00:00Z", before, document),
    )


def read(document: Dict[str, Any]) -> Reader:
    return Reader(page(document, past(document)))


@pytest.mark.parametrize(
    "document", [fleets.some(30), fleets.hostile(), fleets.document()], ids=["some", "hostile", "none"]
)
def test_the_page_is_well_formed_loads_nothing_and_has_every_id_once(document: Dict[str, Any]) -> None:
    found = read(document)
    assert found.wrong == [] and found.open == []
    assert set(found.tags) <= KNOWN
    assert [each for each in found.attributes if each[1] in LOADS or each[1].startswith("on")] == []
    ids = found.values("id")
    assert len(set(ids)) == len(ids)
    links = found.values("href")
    assert all(each.startswith("#") or each == "data:," for each in links)
    assert {each[1:] for each in links if each.startswith("#")} <= set(ids)


def test_a_policy_forbids_whatever_is_not_the_page_s_own() -> None:
    found = read(fleets.some(1))
    policy = next(
        value for _, name, value in found.attributes if name == "content" and value and "default-src" in value
    )
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)
    assert found.tags.count("script") == found.tags.count("style") == 1


def test_hostile_names_and_evidence_are_shown_as_text() -> None:
    document = fleets.hostile()
    html = page(document, past(document))
    assert "<script>window.hacked" not in html and "<img" not in html
    assert html.count("</script>") == html.count("</style>") == 1
    assert "{{ 7 * 7 }}{% raw %}" in html
    outside = html.replace("\n", "")
    assert outside.isprintable(), [ascii(each) for each in set(outside) if not each.isprintable()]


def test_the_language_the_headings_and_the_table_serve_a_screen_reader() -> None:
    document = fleets.some(12)
    found = read(document)
    assert ("html", "lang", "en") in found.attributes
    assert {"header", "main", "footer", "form"} <= set(found.tags)
    assert set(found.values("scope")) == {"col", "row", "colgroup"} and found.tags.count("caption") == 1
    assert "polite" in found.values("aria-live")
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:])), levels
    labelled = set(found.values("aria-labelledby"))
    assert labelled <= set(found.values("id"))
    charts_ = [value for tag, name, value in found.attributes if tag == "svg" and name == "aria-label"]
    assert charts_ and all(charts_)


def test_a_host_s_section_tells_what_was_found_planned_done_and_proven_in_this_order() -> None:
    broken = fleets.looks()["not_listening: stop what holds it, then restart"]
    act = {"action": "stop_client", "changed": True, "outcomes": [fleets.stopped()]}
    document = fleets.document(
        fleets.host("desk", broken, fleets.looks()["good"], **fleets.repaired(act)), kind="remediate"
    )
    text = " ".join(" ".join(read(document).text).split())
    body = text[text.index("What was found", text.index("Hosts", text.index("Handshake, ms"))) :]
    wanted = ["What was found", "not_listening", "Plan", "Stop script pid 815", "What was done", "What was proven"]
    assert sorted(wanted, key=body.index) == wanted
    assert "was unhealthy" in text and "done: stopped script pid 815 of trader (python3 bot.py)" in body


def test_the_worst_hosts_come_first() -> None:
    looks = {"a": fleets.looks()["good"], "b": fleets.looks()["not_listening: restart"], "c": fleets.UNREACHABLE}
    found = read(fleets.document(*(fleets.host(name, look) for name, look in looks.items())))
    assert [each for each in found.values("id") if each.startswith("host-")] == ["host-c", "host-b", "host-a"]


def test_a_gap_between_declared_and_reported_hosts_is_an_alarm() -> None:
    document = fleets.document(fleets.host("a", fleets.looks()["good"]), declared=["a", "b"])
    assert "2 hosts are declared and 1 are in this report." in "".join(read(document).text)


def test_a_thousand_hosts_make_a_page_in_seconds_and_little_memory() -> None:
    document = fleets.some(1000)
    history = past(document)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    html = page(document, history)
    assert time.process_time() - began < 5
    assert len(html) < 8_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "not known"),
        (True, "yes"),
        ([], "none"),
        ([4001, 4002], "4001, 4002"),
        ([{"pid": 1}, {"pid": 2}], "pid 1; pid 2"),
        ({"open_connections": 2.50000}, "open connections 2.5"),
        ({"pid": 1, "age": 86400}, "pid 1, age 1 d"),
        ({"command": ["python3", "bot.py"]}, "command python3 bot.py"),
        (list(range(42)), ", ".join(map(str, range(40))) + ", and 2 more"),
    ],
)
def test_evidence_is_told_in_words(value: Any, words: str) -> None:
    assert in_words(value) == words


def test_charts_say_in_words_what_they_show() -> None:
    moments = [("t", "healthy", 10.0), ("t", "healthy", 12.5), ("t", "unhealthy", None)]
    assert "status in the last 3 sweeps: healthy 2 times, then unhealthy" in charts.strip(moments)
    assert "handshake over 2 sweeps: 10.0 to 12.5 ms, last 12.5 ms" in charts.line(moments)
    assert charts.line(moments[1:]) == charts.stack([]) == charts.strip([]) == ""
    assert open_findings(fleets.host("a", fleets.UNREACHABLE)) == {("", "unreachable")}
