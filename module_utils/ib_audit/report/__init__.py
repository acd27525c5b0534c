"""What an audit found over a fleet, for people and programs. Pure."""
