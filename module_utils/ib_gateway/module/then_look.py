"""What came of a module's acts: it looks itself when it is done, so that a run need not send another one for that."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from ..base.spec import GatewaySpec
from . import assess
from .runner import GatewayModule
from .waiting import await_listener

#: The option `then_look` of every module that acts.
OPTION: Dict[str, Any] = {"type": "dict", "options": assess.OPTIONS}
#: Seconds in which the others notice what was done: a gateway that a connection has ended, a unit that its process has.
_NOTICE = 0.1


def check(module: GatewayModule) -> None:
    """Ends the module when the option cannot be right."""
    assess.check(module, module.params["then_look"])


def after_acts(
    module: GatewayModule,
    specs: Sequence[GatewaySpec],
    acted: bool,
    started: Sequence[str] = (),
    stopped: Sequence[str] = (),
) -> Dict[str, Any]:
    """{health, waited}: what came of a module's acts; nothing without the option then_look.

    acted: whether anything was done. started: the names of entries that should come up; each has its own start_timeout
    for it. stopped: of those whose gateway it has ended. A look that fails leaves health None and is told as a warning:
    what was done is done.
    """
    options: Optional[Mapping[str, Any]] = module.params["then_look"]
    if options is None:
        return {}
    found: Dict[str, Any] = {"health": None, "waited": []}
    try:
        if started and not module.check_mode:
            answers = await_listener(specs, started, None)
            found["waited"] = [{"name": name, "answer": answer} for name, answer in answers.items()]
        elif acted and not module.check_mode:
            time.sleep(_NOTICE)
        found["health"] = assess.assess([module.with_command(spec) for spec in specs], options, stopped=stopped)
    except OSError as error:
        module.warn("what came of it could not be seen: %s" % error)
    return found


def waits(own: Callable[[Dict[str, Any]], float], starts: bool = False) -> Callable[[Dict[str, Any]], float]:
    """The seconds an acting module may wait on purpose: its own, and those of its look after."""

    def seconds(params: Dict[str, Any]) -> float:
        after = assess.session_seconds(params, params["then_look"])
        if starts and params["then_look"]:
            after += max((abs(int(each.get("start_timeout") or 0)) for each in params["gateways"] or ()), default=0)
        return own(params) + after

    return seconds
