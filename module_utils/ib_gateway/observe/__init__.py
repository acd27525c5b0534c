"""Reads the kernel: processes, sockets, one Snapshot of a host."""
