"""Packs modules for sending while a run does something else.

Ansible packs a module with all it imports when the first worker of a run sends it: a fifth of a second in which every
other worker waits for that one, and so does the host when a repair goes from module to module. What is packed lies in
the run's own temporary folder; whoever comes second finds it there, or waits until it is.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterable
from multiprocessing.process import BaseProcess

from ansible.constants import config
from ansible.plugins.loader import module_loader
from ansible.template import Templar
from ansible.utils.multiprocessing import context

from ...ib_gateway.base import actions
from . import naming

LOOK = "ib_gateway_health"
#: Seconds. Workers wait for what is being packed, so it may not be for ever: then the kernel ends it, and they pack.
LIMIT = 30
#: What a repair sends before its first step and after its last.
_BEFORE, _AFTER = "ib_repair_begin", "ib_repair_end"


def for_repair(names: Iterable[str]) -> list[str]:
    """What a repair with steps of these actions sends, in the order in which it does."""
    return [_BEFORE, *actions.modules_of(names), _AFTER]


def start(modules: Iterable[str]) -> BaseProcess:
    """Begins to pack these modules, one after the other, in a process of its own; stop() ends it."""
    process: BaseProcess = context.Process(target=_pack, args=(list(modules),), daemon=True)
    process.start()
    return process


def stop(process: BaseProcess) -> None:
    """Ends it, whether it is done or not: what it has not packed is packed by who sends it."""
    process.kill()
    process.join()


def _pack(modules: list[str]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT)
    # Syntax trees are many objects and no garbage: searching for it takes as long as all the rest.
    gc.disable()
    try:
        from ansible.executor.module_common import modify_module  # of use to a run that packs, and to no other

        for name in map(naming.full, modules):
            modify_module(
                module_name=name,
                module_path=module_loader.find_plugin(name, ".py"),
                module_args={},
                templar=Templar(loader=None),
                # Any: what is kept is the same for all interpreters and arguments.
                task_vars={"ansible_python_interpreter": sys.executable},
                module_compression=config.get_config_value("DEFAULT_MODULE_COMPRESSION", variables={}),
            )
    except (Exception, KeyboardInterrupt):
        # Whoever sends the module meets the same, and is the one to tell it.
        return
