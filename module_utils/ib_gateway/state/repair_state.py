"""How a repair of a host is begun and ended on record, and how a person lifts what keeps gateways from being touched.

Nothing here touches a gateway or decides about one. What stands in the way is returned as a reason, not raised.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import journal, lease, repair_status
from .admission import gateway_blocked, host_blocked, observe_only
from .authorization import Authorization
from .journal import JournalUnusable
from .limits import acted_on, begun, latched, unfinished
from .records import (
    BEGIN,
    END,
    FAILURE,
    OUTCOME,
    RELEASE,
    SUCCESS,
    UNKNOWN,
    is_gateway_name,
)
from .state_folder import Folder
from .store import Busy, StateStore

#: Seconds that an end and a person wait for the lock; both matter more than the moment.
_PATIENCE = 5.0


#: What a module says that cannot read or write what is kept here.
READS = "the state of repairs on this host"
EXPECTED = (Busy, JournalUnusable)


# --- begin -----------------------------------------------------------------------------------------------------------


def begin(authorization: Authorization, gateways: Sequence[str], seconds: float, check_mode: bool) -> Dict[str, Any]:
    """Takes the lease for a repair of these gateways; what ib_repair_begin returns.

    seconds: how long the lease stands without an act. It is not taken when something stands in the way of every
    gateway; without any gateway it is, so that an end can lift the latches of healthy ones. Never raises.
    """
    found: Dict[str, Any] = {
        "begun": False,
        "reason": "",
        "allowed": [],
        "refused": [],
        "unfinished": [],
        "journal": journal.ABSENT,
        "note": "",
    }
    try:
        with StateStore(authorization.state_dir, authorization.run, authorization.by, write=not check_mode) as store:
            found.update(journal=store.journal.state, note=repair_status.note(store.journal))
            _begin(store, authorization, gateways, seconds, found)
    except Busy as busy:
        found["reason"] = str(busy)
    except JournalUnusable as unusable:
        found.update(journal=journal.UNUSABLE, reason=observe_only(unusable))
    if found["reason"]:
        found.update(begun=False, allowed=[], refused=[_row(each, found["reason"]) for each in gateways])
    return found


def _begin(
    store: StateStore, authorization: Authorization, gateways: Sequence[str], seconds: float, found: Dict[str, Any]
) -> None:
    """Raises JournalUnusable. The journal is written before the lease: a lease without a begin would serve nobody."""
    blocked = host_blocked(store, authorization)
    if blocked:
        for gateway in filter(is_gateway_name, gateways):
            store.add(blocked.kind, gateway=gateway, reason=blocked.reason)
        found["reason"] = blocked.reason
        return
    _admit(store, authorization, gateways, found)
    _close_unfinished(store, authorization.run, found)
    if gateways and not found["allowed"]:
        return
    over = store.lease
    taken = ""
    if over is not None and over.run != authorization.run:
        why = lease.void(over, store.now())
        taken = "took over the lease of %s since %s: %s" % (over.by or "nobody", over.since or "never", why)
    store.add(BEGIN, reason=taken, target={"gateways": found["allowed"]})
    store.take_lease(seconds, authorization.holder)
    found["begun"] = True
    found["note"] = "; ".join(filter(None, (found["note"], taken)))


def _row(gateway: str, reason: str) -> Dict[str, Any]:
    return {"gateway": gateway, "reason": reason}


def _admit(store: StateStore, authorization: Authorization, gateways: Sequence[str], found: Dict[str, Any]) -> None:
    for gateway in gateways:
        blocked = gateway_blocked(store, authorization, gateway, "")
        if blocked is None:
            found["allowed"].append(gateway)
            continue
        found["refused"].append(_row(gateway, blocked.reason))
        if is_gateway_name(gateway):
            store.add(blocked.kind, gateway=gateway, reason=blocked.reason)


def _close_unfinished(store: StateStore, run: str, found: Dict[str, Any]) -> None:
    """Shows the acts of earlier runs whose outcome nobody wrote down, and writes down that it is not known."""
    left = [each for each in unfinished(store.journal.records) if each.run != run]
    found["unfinished"] = repair_status.acts(left)
    for each in left:
        store.add(
            OUTCOME,
            gateway=each.gateway,
            action=each.action,
            intent=each.n,
            result=UNKNOWN,
            reason="the run that did it ended without saying what became of it",
        )


# --- end -------------------------------------------------------------------------------------------------------------


def end(authorization: Authorization, results: Sequence[Mapping[str, Any]], check_mode: bool) -> Dict[str, Any]:
    """Ends a run's repair of this host and gives the lease back; what ib_repair_end returns. Never raises.

    results: {gateway, healthy, summary}. A gateway that was acted on and is not among them was not proven healthy.
    """
    found: Dict[str, Any] = {
        "ended": False,
        "reason": "",
        "succeeded": [],
        "unsuccessful": [],
        "lifted": [],
        "latched": [],
    }
    try:
        with StateStore(
            authorization.state_dir, authorization.run, authorization.by, write=not check_mode, patience=_PATIENCE
        ) as store:
            _end(store, authorization, results, check_mode, found)
            found["latched"] = _latched_rows(store)
    except Busy as busy:
        found["reason"] = str(busy)
    except JournalUnusable as unusable:
        found["reason"] = observe_only(unusable)
    return found


def _end(
    store: StateStore,
    authorization: Authorization,
    results: Sequence[Mapping[str, Any]],
    check_mode: bool,
    found: Dict[str, Any],
) -> None:
    """Raises JournalUnusable."""
    records = store.journal.records
    if check_mode or not begun(records, authorization.run):
        found["reason"] = (
            "check mode: nothing was begun" if check_mode else "this run has not begun a repair of this host"
        )
        return
    mine = store.is_mine()
    if not mine:
        # Somebody else may be at work by now. That this run did not succeed still holds; that all is well may not.
        found["reason"] = "the lease was given back or taken over, so nothing is called a success"
    acted, locked = acted_on(records, authorization.run), latched(records)
    by_name = {str(each["gateway"]): each for each in results}
    healed = [gateway for gateway in sorted(locked) if gateway not in acted and _proof(by_name.get(gateway))[0]]
    for gateway in (*acted, *healed):
        healthy, summary = _proof(by_name.get(gateway))
        if healthy and not mine:
            continue
        store.add(END, gateway=gateway, result=SUCCESS if healthy else FAILURE, reason=summary)
        if gateway in acted:
            found["succeeded" if healthy else "unsuccessful"].append(gateway)
        if gateway in locked and healthy:
            found["lifted"].append(gateway)
    store.release_lease()
    found["ended"] = mine


def _proof(result: Optional[Mapping[str, Any]]) -> Tuple[bool, str]:
    """(whether a gateway was proven healthy, in which words)."""
    if result is None:
        return False, "it was not looked at again"
    return bool(result["healthy"]), str(result.get("summary") or "")


def _latched_rows(store: StateStore) -> List[Dict[str, Any]]:
    return [
        {"gateway": gateway, "since": latch.since, "reason": latch.reason}
        for gateway, latch in sorted(latched(store.journal.records).items())
    ]


# --- a person --------------------------------------------------------------------------------------------------------


def release(
    state_dir: str, gateways: Sequence[str], by: str, reason: str, reset_journal: bool, check_mode: bool
) -> Dict[str, Any]:
    """Lifts latches by a person's will; what ib_repair_release returns. Raises JournalUnusable or Busy.

    gateways: which ones, all of them for none. reset_journal: whether a journal that cannot be used is set aside.
    """
    found: Dict[str, Any] = {"changed": False, "released": [], "journal": journal.ABSENT, "set_aside": []}
    if reset_journal:
        _reset(state_dir, by, reason, check_mode, found)
        if found["changed"] and check_mode:
            return found
    with StateStore(state_dir, "", by, write=False) as store:
        found["journal"] = store.journal.state
        if not _chosen(store, gateways):
            return found
    with StateStore(state_dir, "", by, write=not check_mode, patience=_PATIENCE) as store:
        for gateway in _chosen(store, gateways):
            store.add(RELEASE, gateway=gateway, reason=reason)
            found["released"].append(gateway)
    found["changed"] = found["changed"] or bool(found["released"])
    return found


def _chosen(store: StateStore, gateways: Sequence[str]) -> List[str]:
    return [each for each in sorted(latched(store.journal.records)) if each in gateways or not gateways]


def _reset(state_dir: str, by: str, reason: str, check_mode: bool, found: Dict[str, Any]) -> None:
    """Sets a repair state that cannot be used aside. Raises JournalUnusable when that does not mend it, or Busy."""
    folder = Folder.open(state_dir)
    if folder is None:
        return
    with folder:
        lock = None if check_mode else folder.lock(journal.LOCK, _PATIENCE)
        try:
            if lock is None and not check_mode:
                raise Busy(lease.held_text(lease.read(folder)))
            _set_aside(folder, by, reason, check_mode, found)
        finally:
            if lock is not None:
                os.close(lock)


def _set_aside(folder: Folder, by: str, reason: str, check_mode: bool, found: Dict[str, Any]) -> None:
    try:
        lease.read(folder)
    except JournalUnusable:
        found["changed"] = True
        if not check_mode:
            found["set_aside"].append(folder.where(journal.set_aside(folder, lease.FILE)))
    try:
        journal.read(folder)
    except JournalUnusable:
        found["changed"] = True
        if not check_mode:
            aside = journal.reset(folder, journal.moment(), by, reason)
            found["set_aside"].extend([folder.where(aside)] if aside else [])
