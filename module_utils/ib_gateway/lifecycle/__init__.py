"""How a gateway is started, stopped and asked for its state."""
