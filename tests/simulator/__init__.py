"""A simulated IB Gateway, the means to start one, and small client programs that use it."""
