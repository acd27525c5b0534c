"""What keeps a report from being written, read or merged, as an error that a person can act on."""

from __future__ import annotations


class ReportError(Exception):
    """A report could not be written or read; the message is for a person."""
