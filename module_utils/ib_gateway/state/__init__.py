"""What a host remembers of repairs, and whether one may act now."""
