"""What a start says otherwise than its entry: it would bring another gateway, or another account's."""

from __future__ import annotations

import os
from typing import Mapping, Optional, Sequence

from ..base.classify import gateway_kind
from ..base.spec import GatewaySpec
from . import program
from .accounts import account_of
from .base import Asked, Runs
from .unit_commands import as_root_of


def contradiction(spec: GatewaySpec, words: Sequence[str], folder: str) -> Optional[str]:
    """What a gateway's own command line says otherwise than the entry. None where nothing differs, or nothing can be
    read out of it. folder: where it is run."""
    kind = gateway_kind(words)
    if kind is None:
        return None
    if kind.product != spec.product:
        return "product %s, the entry %s" % (kind.product, spec.product)
    if kind.trading_mode not in (None, spec.trading_mode):
        return "trading_mode %s, the entry %s" % (kind.trading_mode, spec.trading_mode)
    if kind.config_dir and spec.config_dir:
        path = os.path.join(folder, kind.config_dir)
        if os.path.realpath(path) != os.path.realpath(spec.config_dir):
            return "config_dir %s, the entry %s" % (path, spec.config_dir)
    return None


def of_unit(one: Asked, shown: Mapping[str, str], runs: Sequence[Runs]) -> Optional[str]:
    """Why a start of an entry's unit would not bring the entry's gateway, as after its file was changed while that
    runs; None where nothing is known to. shown: what systemctl shows of it; runs: what it runs."""
    started = [(command, each) for each in runs if not each.stop for command in each.commands]
    for command, each in started:
        found = contradiction(one.spec, command, each.folder or "/")
        if found:
            return "it would start another gateway than the entry's: it says %s" % found
    return _another_account(one, shown, [command for command, _each in started])


def _another_account(one: Asked, shown: Mapping[str, str], commands: Sequence[Sequence[str]]) -> Optional[str]:
    user = shown.get("User", "")
    wanted = one.spec.user or (one.process.user if one.process is not None else None)
    if not user or not wanted or as_root_of(shown, ("ExecStart",)):
        return None
    its, entry = account_of(user), account_of(wanted)
    if its is None or entry is None or its.uid == entry.uid:
        return None
    if any(program.hands_on(command, "/") for command in commands):
        return None  # what it runs becomes the account by itself
    whose = "the entry says user: %s" % wanted if one.spec.user else "the one that runs is %s's" % wanted
    return "it would start it as account %s (User=), and %s" % (user, whose)
