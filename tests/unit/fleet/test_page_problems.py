"""What the page says first: how the fleet stands, what is wrong and since when, in sentences."""

from __future__ import annotations

import copy
import html
import re
from typing import Any, Dict, List, Sequence

import pytest
from ansible.module_utils.ib_fleet.render.page import Past, page
from ansible.module_utils.ib_fleet.render.problems import Since, headline, problems, since
from ansible.module_utils.ib_fleet.render.wording import breakable, command, sentence
from ansible.module_utils.ib_fleet.store.history import Point
from ansible.module_utils.ib_gateway.base.findings import CATALOGUE
from unit import fleets

DOWN, STARTING = "not_listening: restart", "gateway_starting: wait"
NOW = "2026-11-22T09:00:00Z"


def fleet(**looks: Any) -> Dict[str, Any]:
    found = {name: fleets.looks()[look] if isinstance(look, str) else look for name, look in looks.items()}
    return fleets.document(*(fleets.host(name, look) for name, look in found.items()), at=NOW)


def points(*statuses: str) -> List[Point]:
    return [Point("2026-11-22T0%d:00:00Z" % hour, status, None) for hour, status in enumerate(statuses, 1)]


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ({}, "No host is in this report."),
        ({"a": "good"}, "Every gateway is healthy."),
        ({"a": fleets.UNREACHABLE}, "The host is unreachable."),
        ({"a": "good", "b": "good"}, "Every gateway is healthy, on all 2 hosts."),
        ({"a": "good", "b": DOWN}, "1 of 2 hosts is unhealthy."),
        ({"a": DOWN, "b": DOWN}, "2 of 2 hosts are unhealthy."),
        (
            {"a": DOWN, "b": fleets.UNREACHABLE, "c": "good"},
            "2 of 3 hosts are not healthy: 1 unreachable, 1 unhealthy.",
        ),
    ],
)
def test_the_first_sentence_says_how_many_hosts_are_not_well(looks: Dict[str, Any], told: str) -> None:
    assert headline(fleet(**looks)) == told


def test_what_one_gateway_has_is_told_by_its_own_summary_and_what_several_have_by_the_catalogue() -> None:
    one = problems(fleet(a=DOWN), {})[0]
    assert one.what == "Live runs (pid 4711) but nothing listens on port 4001." and one.where == [
        ("a", "host-a", "live")
    ]
    several = problems(fleet(a=DOWN, b=DOWN), {})[0]
    assert several.what == CATALOGUE["not_listening"].means
    assert [name for name, _, _ in several.where] == ["a", "b"]


def planned(*steps: Dict[str, Any], withheld: Sequence[str] = (), **more: Any) -> Dict[str, Any]:
    """A look at a gateway that listens no more, with these steps or without any."""
    look = copy.deepcopy(fleets.looks()[DOWN])
    found = look["gateways"][0]
    found["plan"] = {**found["plan"], "steps": list(steps), "withheld": list(withheld)}
    found.update(more)
    return look


RESTART = {**fleets.looks()[DOWN]["gateways"][0]["plan"]["steps"][-1], "only_if_persists": False}


def test_of_one_gateway_it_is_told_what_its_own_plan_does_or_why_that_does_nothing() -> None:
    def done(look: Dict[str, Any]) -> str:
        return problems(fleet(a=look), {})[0].done

    told = done(planned(RESTART, {**RESTART, "only_if_persists": True}))
    assert told.startswith("A repair would restart live") and "; then if that does not help, restart live" in told
    assert done(planned(RESTART, remediation="plan_only")).endswith("The entry says plan_only: no run does it.")
    withheld = done(planned(withheld=["live is not restarted: the disk is full", "a protected script is on it"]))
    assert withheld == "Nothing is done. Live is not restarted: the disk is full; a protected script is on it."
    assert done(planned(withheld=list("abcde"))).endswith("a; b; c; and 2 more reasons.".capitalize())
    assert done(planned()) == "Nothing is planned.", "the usual cure is no plan of this gateway"
    assert done(planned(verdict="wrong_port")) == CATALOGUE["wrong_port"].done


def test_of_several_gateways_it_is_told_how_many_the_plan_means() -> None:
    def done(*looks: Dict[str, Any]) -> str:
        return problems(fleet(**dict(zip("abc", looks))), {})[0].done

    kept = planned(withheld=["a protected script is on it"])
    both = "On each of them a repair would restart the gateway. Steps and reasons stand with each."
    assert done(planned(RESTART), planned(RESTART)) == both
    mixed = done(planned(RESTART), planned(RESTART, remediation="plan_only"), kept)
    assert mixed.startswith("On 2 of them a repair would restart the gateway.")
    assert "1 of them says plan_only" in mixed and "On the rest nothing is done." in mixed
    assert done(kept, kept) == "Nothing is done on them; why not stands with each."
    assert done(planned(), planned()) == "Nothing is planned."


def test_what_else_counts_on_a_gateway_is_listed_beside_its_verdict() -> None:
    look = planned(RESTART)
    first = look["gateways"][0]["findings"][0]
    other = {**first, "code": "duplicate_gateways", "summary": "3 gateway processes run for live, one is wanted"}
    look["gateways"][0]["findings"] += [other, {**other, "code": "localhost_family", "severity": "info"}]
    assert problems(fleet(a=look), {})[0].also == [
        ("3 gateway processes run for live, one is wanted.", "duplicate_gateways")
    ]
    assert problems(fleet(a=look, b=look, c=DOWN), {})[0].also == [
        ("On 2 of them: duplicate gateways.", "duplicate_gateways")
    ]
    shown = page(fleet(a=look))
    assert "3 gateway processes run for live, one is wanted. <code>duplicate_gateways</code>" in shown
    assert "and 1 more finding<" in shown and problems(fleet(a=DOWN), {})[0].also == []
    look["gateways"][0]["findings"] += [{**other, "code": "c%d" % n, "summary": "s"} for n in range(4)]
    assert problems(fleet(a=look), {})[0].also[-1] == ("And 2 more.", "")


def test_the_worst_comes_first_then_what_many_have_and_healthy_hosts_are_left_out() -> None:
    looks = {"a": STARTING, "b": DOWN, "c": fleets.UNREACHABLE, "d": fleets.FAILED, "e": "good", "f": DOWN}
    found = problems(fleet(**looks), {})
    assert [each.code for each in found] == ["unreachable", "not_listening", "not_judged", "gateway_starting"]
    assert found[0].what == "Failed to connect to the host via ssh: Connection timed out."
    assert all(each.what and each.done for each in found)


@pytest.mark.parametrize("document", [fleets.some(60), fleets.hostile()], ids=["some", "hostile"])
def test_every_host_that_is_not_healthy_has_a_problem(document: Dict[str, Any]) -> None:
    named = {name for each in problems(document, {}) for name, _, _ in each.where}
    assert named == {each["name"] for each in document["hosts"] if each["status"] != "healthy"}


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        ((), None),
        (("unhealthy", "healthy"), None),
        (("unhealthy", "healthy", "degraded", "unreachable"), Since("2026-11-22T03:00:00Z", False)),
        (("unknown", "unhealthy"), Since("2026-11-22T01:00:00Z", True)),
    ],
)
def test_a_host_is_not_well_since_the_first_sweep_after_its_last_healthy_one(statuses: Any, found: Any) -> None:
    assert since(points(*statuses)) == found


def test_since_when_is_told_with_how_long_it_is_and_for_several_by_the_first() -> None:
    early, late = Since("2026-11-22T01:00:00Z", True), Since("2026-11-22T08:30:00Z", False)
    assert early.told(NOW) == "since 2026-11-22 01:00:00 UTC or longer (8 h)" and late.lasted(NOW) == "for 30 min"
    assert Since("yesterday", False).told(NOW) == "since yesterday" and Since(NOW, False).lasted(NOW) == ""
    assert problems(fleet(a=DOWN, b=DOWN), {("a", "live"): late, ("b", ""): early})[0].since == "first " + early.told(
        NOW
    )
    past = Past(points={"a": points("healthy", "unhealthy", "unhealthy")})
    shown = page(fleet(a=DOWN), past)
    assert "Not healthy since 2026-11-22 02:00:00 UTC (7 h)." in shown and "for 7 h</small>" in shown


def test_hosts_that_are_not_healthy_are_open_as_far_as_anybody_scrolls_and_healthy_ones_are_not() -> None:
    def opened(document: Dict[str, Any]) -> List[str]:
        return re.findall(r'<details class="fold host e-(\w+)" id="[^"]+" open>', page(document))

    assert opened(fleet(a=DOWN, b="good", c=fleets.UNREACHABLE)) == ["unreachable", "unhealthy"]
    assert 0 < len(opened(fleets.some(1000))) < 40


def test_each_column_has_a_heading_and_sorts_by_itself() -> None:
    shown = page(fleet(a="good"))
    head, body = shown[shown.index("<thead>", shown.index('id="table"')) :].split("<tbody>")[:2]
    sorted_by = sorted(int(each) for each in re.findall(r'data-c="(\d+)"', head))
    cells = len(re.findall(r"<t[hd][ >]", body[: body.index("</tr>")]))
    assert sorted_by == list(range(cells - 1)), "all but the history sort"
    assert shown.count("<col ") == cells


@pytest.mark.parametrize("name", ["ny4", "execution-1.london.example.com", *fleets.HOSTILE])
def test_a_name_breaks_between_its_parts_and_stays_what_it_is(name: str) -> None:
    found = breakable(name)
    assert "<" not in found.replace("<wbr>", "")
    assert breakable("a.b,c").count("<wbr>") == 2 and "<wbr>" not in breakable("ny4")
    assert html.unescape(found.replace("<wbr>", "")) == html.unescape(breakable(name).replace("<wbr>", ""))


@pytest.mark.parametrize(
    "line", ["ansible-playbook remediate.yml --limit a,b.c -i 'my hosts' --become", *fleets.HOSTILE[:3]]
)
def test_a_command_is_copied_as_it_is_and_no_option_loses_its_dashes(line: str) -> None:
    found = command(line)
    assert html.unescape(re.sub(r"</?(wbr|span)[^>]*>", "", found)) == line
    assert "<script" not in found and "<img" not in found
    assert ("--become" not in line) or '<span class="option">--become</span>' in found


@pytest.mark.parametrize(("text", "told"), [("it ends", "It ends."), ("Why?", "Why?"), ("", "")])
def test_a_summary_becomes_a_sentence(text: str, told: str) -> None:
    assert sentence(text) == told
