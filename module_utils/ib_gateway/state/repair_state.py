"""How a repair of a host begins and ends in its books, and how a person lifts what keeps gateways from being touched.

Nothing here touches a gateway or decides about one. What stands in the way is returned as a reason, not raised.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import journal, lease, repair_status
from .admission import Warrant, observe_only
from .journal import JournalUnusable
from .limits import acted_on, begun, latch_text, latched, unfinished, verdict
from .records import (
    BEGIN,
    DEFER,
    END,
    FAILURE,
    OUTCOME,
    REFUSE,
    RELEASE,
    SUCCESS,
    UNKNOWN,
    is_gateway_name,
)
from .state_folder import Folder
from .store import Busy, Ledger

#: Seconds that an end and a person wait for the lock; both matter more than the moment.
_PATIENCE = 5.0


#: What a module says that cannot read or write what is kept here.
READS = "the state of repairs on this host"
EXPECTED = (Busy, JournalUnusable)


# --- begin -----------------------------------------------------------------------------------------------------------


def begin(warrant: Warrant, gateways: Sequence[str], seconds: float, check_mode: bool) -> Dict[str, Any]:
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
        with Ledger(warrant.state_dir, warrant.run, warrant.by, write=not check_mode) as ledger:
            found.update(journal=ledger.journal.state, note=repair_status.note(ledger.journal))
            _begin(ledger, warrant, gateways, seconds, found)
    except Busy as busy:
        found["reason"] = str(busy)
    except JournalUnusable as unusable:
        found.update(journal=journal.UNUSABLE, reason=observe_only(unusable))
    if found["reason"]:
        found.update(begun=False, allowed=[], refused=[_row(each, found["reason"]) for each in gateways])
    return found


def _begin(ledger: Ledger, warrant: Warrant, gateways: Sequence[str], seconds: float, found: Dict[str, Any]) -> None:
    """Raises JournalUnusable. The journal is written before the lease: a lease without a begin would serve nobody."""
    later = ledger.held_by_another() or warrant.forbidden or ledger.paused()
    if later:
        for gateway in filter(is_gateway_name, gateways):
            ledger.add(DEFER, gateway=gateway, reason=later)
        found["reason"] = later
        return
    _judge(ledger, warrant, gateways, found)
    _close_unfinished(ledger, warrant.run, found)
    if gateways and not found["allowed"]:
        return
    over = ledger.lease
    taken = ""
    if over is not None and over.run != warrant.run:
        why = lease.void(over, ledger.now())
        taken = "took over the lease of %s since %s: %s" % (over.by or "nobody", over.since or "never", why)
    ledger.add(BEGIN, reason=taken, target={"gateways": found["allowed"]})
    ledger.take_lease(seconds)
    found["begun"] = True
    found["note"] = "; ".join(filter(None, (found["note"], taken)))


def _row(gateway: str, reason: str) -> Dict[str, Any]:
    return {"gateway": gateway, "reason": reason}


def _judge(ledger: Ledger, warrant: Warrant, gateways: Sequence[str], found: Dict[str, Any]) -> None:
    locked = latched(ledger.journal.records)
    for gateway in gateways:
        if not is_gateway_name(gateway):
            found["refused"].append(_row(gateway, "this is no name of a gateway"))
            continue
        never = latch_text(locked[gateway]) if gateway in locked else None
        later = verdict(ledger.journal.records, gateway, "", warrant.run, ledger.now(), warrant.rules)
        reason = never or later
        if reason is None:
            found["allowed"].append(gateway)
            continue
        found["refused"].append(_row(gateway, reason))
        ledger.add(REFUSE if never else DEFER, gateway=gateway, reason=reason)


def _close_unfinished(ledger: Ledger, run: str, found: Dict[str, Any]) -> None:
    """Shows the acts of earlier runs whose outcome nobody wrote down, and writes down that it is not known."""
    left = [each for each in unfinished(ledger.journal.records) if each.run != run]
    found["unfinished"] = repair_status.acts(left)
    for each in left:
        ledger.add(
            OUTCOME,
            gateway=each.gateway,
            action=each.action,
            intent=each.n,
            result=UNKNOWN,
            reason="the run that did it ended without saying what became of it",
        )


# --- end -------------------------------------------------------------------------------------------------------------


def end(warrant: Warrant, results: Sequence[Mapping[str, Any]], check_mode: bool) -> Dict[str, Any]:
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
        with Ledger(warrant.state_dir, warrant.run, warrant.by, write=not check_mode, patience=_PATIENCE) as ledger:
            _end(ledger, warrant, results, check_mode, found)
            found["latched"] = _latched_rows(ledger)
    except Busy as busy:
        found["reason"] = str(busy)
    except JournalUnusable as unusable:
        found["reason"] = observe_only(unusable)
    return found


def _end(
    ledger: Ledger, warrant: Warrant, results: Sequence[Mapping[str, Any]], check_mode: bool, found: Dict[str, Any]
) -> None:
    """Raises JournalUnusable."""
    records = ledger.journal.records
    if check_mode or not begun(records, warrant.run):
        found["reason"] = (
            "check mode: nothing was begun" if check_mode else "this run has not begun a repair of this host"
        )
        return
    mine = ledger.is_mine()
    if not mine:
        # Somebody else may be at work by now. That this run did not succeed still holds; that all is well may not.
        found["reason"] = "the lease was given back or taken over, so nothing is called a success"
    acted, locked = acted_on(records, warrant.run), latched(records)
    by_name = {str(each["gateway"]): each for each in results}
    healed = [gateway for gateway in sorted(locked) if gateway not in acted and _proof(by_name.get(gateway))[0]]
    for gateway in (*acted, *healed):
        healthy, summary = _proof(by_name.get(gateway))
        if healthy and not mine:
            continue
        ledger.add(END, gateway=gateway, result=SUCCESS if healthy else FAILURE, reason=summary)
        if gateway in acted:
            found["succeeded" if healthy else "unsuccessful"].append(gateway)
        if gateway in locked and healthy:
            found["lifted"].append(gateway)
    ledger.release_lease()
    found["ended"] = mine


def _proof(result: Optional[Mapping[str, Any]]) -> Tuple[bool, str]:
    """(whether a gateway was proven healthy, in which words)."""
    if result is None:
        return False, "it was not looked at again"
    return bool(result["healthy"]), str(result.get("summary") or "")


def _latched_rows(ledger: Ledger) -> List[Dict[str, Any]]:
    return [
        {"gateway": gateway, "since": latch.since, "reason": latch.reason}
        for gateway, latch in sorted(latched(ledger.journal.records).items())
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
    with Ledger(state_dir, "", by, write=False) as ledger:
        found["journal"] = ledger.journal.state
        if not _chosen(ledger, gateways):
            return found
    with Ledger(state_dir, "", by, write=not check_mode, patience=_PATIENCE) as ledger:
        for gateway in _chosen(ledger, gateways):
            ledger.add(RELEASE, gateway=gateway, reason=reason)
            found["released"].append(gateway)
    found["changed"] = found["changed"] or bool(found["released"])
    return found


def _chosen(ledger: Ledger, gateways: Sequence[str]) -> List[str]:
    return [each for each in sorted(latched(ledger.journal.records)) if each in gateways or not gateways]


def _reset(state_dir: str, by: str, reason: str, check_mode: bool, found: Dict[str, Any]) -> None:
    """Sets books that cannot be used aside. Raises JournalUnusable when that does not mend them, or Busy."""
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
