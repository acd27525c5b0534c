"""A connection to an Interactive Brokers gateway that behaves: for ib_insync, ib_async and the official ibapi.

    import ib_connect

    with ib_connect.connect("live") as ib:
        print(ib.positions())

    async with ib_connect.connect_async("paper") as ib:
        await ib.qualifyContractsAsync(contract)

    with ib_connect.connect("paper", app=App()) as app:  # ibapi: App is the script's EClient
        app.reqCurrentTime()

    connection = ib_connect.connect("live")
    with connection as ib:
        ib.reqMktData(contract).updateEvent += trade
        connection.run()  # for as long as the script runs, whatever the gateway does

The name is a profile of /etc/ib-connect/profiles.json (environment: IB_CONNECT_PROFILES), which the role ib_client_kit
writes. Around the library's own object the kit takes a client id that no other process of the host holds, a place in
the queue for the gateway's API slot, retries with backoff within one deadline, and disconnects on every way out. What
goes wrong is a ConnectError that names stage and cause. It logs to the logger `ib_connect` and never prints.
"""

from __future__ import annotations

from .connections import AsyncConnection, Connection, connect, connect_async
from .errors import (
    ClientIdInUse,
    ConnectError,
    Dropped,
    LibraryMissing,
    LiveNotSaid,
    LoopRunning,
    ProfileError,
    Refused,
    Silent,
    SlotBusy,
    Stalled,
    WrongMode,
)
from .leases import client_id
from .locks import Holder
from .loops import load_library
from .profiles import Profile, find_profile, load_profiles

__all__ = ["AsyncConnection", "ClientIdInUse", "ConnectError", "Connection", "Dropped", "Holder", "LibraryMissing"]
__all__ += ["LiveNotSaid", "LoopRunning", "Profile", "ProfileError", "Refused", "Silent", "SlotBusy", "Stalled"]
__all__ += ["WrongMode", "client_id", "connect", "connect_async", "find_profile", "load_library", "load_profiles"]
