"""Turns the document into pages, metrics and lines; pure."""
