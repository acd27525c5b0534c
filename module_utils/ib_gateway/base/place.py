"""A network namespace of its own, as a look into it from the host sees it."""

# Annotations are evaluated here: NamedTuple would compile each one that is only text.
from types import MappingProxyType
from typing import FrozenSet, Mapping, NamedTuple, Tuple

from .container import Published
from .host import Connection, Listener, Process


class Place(NamedTuple):
    """A network namespace with gateways in it, or one that an entry's port leads to.

    netns: as the kernel names it. pid: a process in it. addresses: its own, loopback left out. gateways: those that
    live in it; programs: by pid, who else holds sockets in it. proxies: by port of the host, the pids that hold it for
    the container's engine. queue_samples: by port inside, the accept queue's length in each sample.
    """

    netns: str
    pid: int
    addresses: Tuple[str, ...] = ()
    listeners: Tuple[Listener, ...] = ()
    connections: Tuple[Connection, ...] = ()
    gateways: FrozenSet[int] = frozenset()
    programs: Mapping[int, Process] = MappingProxyType({})
    proxies: Mapping[int, FrozenSet[int]] = MappingProxyType({})
    published: Tuple[Published, ...] = ()
    queue_samples: Mapping[int, Tuple[int, ...]] = MappingProxyType({})
    label: str = ""
