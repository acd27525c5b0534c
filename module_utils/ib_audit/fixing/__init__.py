"""Which problems can be rewritten safely, and how."""
