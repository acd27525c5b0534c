"""What becomes ib_gateway_probe.py: the command, and what a handshake means to whoever asks."""
