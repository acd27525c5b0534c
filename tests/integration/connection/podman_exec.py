"""Runs modules inside a container by `podman exec`, as the connection plugins of the engines' collections do."""

from __future__ import annotations

import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: podman_exec
short_description: runs modules inside a container
description: [Runs modules inside a container that runs, by podman's own command line.]
options:
  remote_addr:
    description: the container's name
    type: str
    vars: [{name: inventory_hostname}, {name: ansible_host}]
  remote_user:
    description: the account inside
    type: str
    default: "0"
    vars: [{name: ansible_user}]
"""


class Connection(ConnectionBase):  # type: ignore[misc]
    """One container."""

    transport = "podman_exec"
    has_pipelining = True

    def _connect(self) -> Connection:
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """(status, output, error output) of a command inside."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run("/bin/sh", "-c", cmd, given=in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copies a file into the container."""
        with open(in_path, "rb") as file:
            self._must("/bin/sh", "-c", 'cat > "$1"', "sh", out_path, given=file.read())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copies a file out of the container."""
        with open(out_path, "wb") as file:
            file.write(self._must("cat", in_path))

    def close(self) -> None:
        """Nothing is kept open."""

    def _must(self, *command: str, given: bytes | None = None) -> bytes:
        status, output, said = self._run(*command, given=given)
        if status != 0:
            raise AnsibleConnectionFailure(said.decode("utf-8", "replace"))
        return output

    def _run(self, *command: str, given: bytes | None = None) -> tuple[int, bytes, bytes]:
        user, container = self.get_option("remote_user"), self.get_option("remote_addr")
        done = subprocess.run(
            ["podman", "exec", "--interactive", "--user", user, container, *command],
            input=given or b"",
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr
