"""The registry of actions says all that others need of an action, and holds what it is handed to it."""

from __future__ import annotations

import importlib
from typing import Any, Dict

import pytest
import yaml
from ansible.module_utils.ib_gateway.base import steps
from ansible.module_utils.ib_gateway.base.actions import ACTIONS, ORDER, Action, describe, tell
from ansible.module_utils.ib_gateway.base.outcome import DONE
from ansible.module_utils.ib_gateway.base.plan import Step
from unit.decide.test_planning import LEAST
from unit.facts import health, spec
from unit.module_runs import PROJECT

every_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda each: each.name)
PROCESS: Dict[str, Any] = {"pid": 7, "started_ticks": 70, "boot_id": "x"}


@every_action
def test_the_module_of_an_action_takes_what_the_role_hands_it(action: Action) -> None:
    arguments = importlib.import_module(action.module).ARGUMENTS
    assert {"steps", "gateways", "then_look", *action.options} <= set(arguments)
    tasks = yaml.safe_load((PROJECT / "roles/ib_gateway_repair/tasks/step.yml").read_text(encoding="utf-8"))
    every = [each for task in tasks for each in (task, *task.get("block", ()))]
    (taken,) = (each["ib_repair_step"] for each in every if "ib_repair_step" in each)
    assert set(action.options) <= set(taken["options"])


@every_action
def test_an_action_says_what_it_costs_and_how_it_is_told(action: Action) -> None:
    assert action.disruption and action.infinitive and action.past and action.most_times >= 1


@every_action
@pytest.mark.parametrize("junk", [None, 5, "x", [None], {"pid": "x"}, {"port": None}], ids=str)
def test_a_target_that_is_none_of_ours_costs_its_words_and_no_more(action: Action, junk: Any) -> None:
    for target in (junk, {}, dict.fromkeys((key.rstrip("?") for key in action.needs), junk)):
        step = {"action": action.name, "gateway": "live", "target": target, "result": DONE, "reason": "r"}
        assert describe(step).startswith(action.infinitive) and action.past in tell(step)


@pytest.mark.parametrize(("look", "shaken", "_least"), LEAST.values(), ids=LEAST)
def test_every_step_that_is_planned_has_what_its_module_needs_and_a_cost(look: Any, shaken: Any, _least: Any) -> None:
    for gateway in health((spec(client_patterns=("bot",)), look, shaken))["gateways"]:
        for each in gateway["plan"]["steps"]:
            (read,), problems = steps.read([each], [each["action"]])
            assert problems == [] and steps.as_dict(read) == each and each["disruption"]


def test_steps_of_any_order_are_put_least_disruptive_first() -> None:
    shuffled = [Step(name, "live", {}, "", "") for name in reversed(ORDER)]
    assert [each.action for each in steps.in_order(shuffled)] == list(ORDER)


def test_an_outcome_s_target_holds_nothing_but_what_the_action_knows_and_no_password() -> None:
    target = {**PROCESS, "argv_digest": "d", "note": "secret", "command": ["java", "--pw=hunter2"], "user": None}
    found = steps.brief(target, {"pid": int, "argv_digest?": str, "user?": str, "command?": [str]})
    assert set(found) == {"pid", "command"} and "hunter2" not in str(found)
