"""Finds in trading scripts what keeps them from their gateway, without running them; see docs/client-rules.md."""
