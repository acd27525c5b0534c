"""Everything the modules of this project share; see docs/architecture.md for who imports whom."""
