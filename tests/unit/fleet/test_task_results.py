"""A callback reads what it is told alike from every ansible-core."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.module_utils.ib_fleet.run import task_results

TASK, HOST, ANSWER = object(), object(), {"status": "healthy"}
TOLD = {
    "2.19 and newer": SimpleNamespace(task=TASK, host=HOST, result=ANSWER),
    "2.18 and older": SimpleNamespace(_task=TASK, _host=HOST, _result=ANSWER),
}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_task_host_and_answer_are_read_whatever_their_names_are(told: SimpleNamespace) -> None:
    assert task_results.task(told) is TASK
    assert task_results.host(told) is HOST
    assert task_results.answer(told) is ANSWER


def test_the_public_names_are_read_where_both_are_there() -> None:
    """The old ones are announced to go, and reading them is told to the operator."""
    told = SimpleNamespace(task=TASK, _task=None)

    assert task_results.task(told) is TASK
