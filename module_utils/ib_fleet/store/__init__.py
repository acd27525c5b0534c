"""Reads and writes reports and their history."""
