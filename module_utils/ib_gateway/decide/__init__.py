"""From a Snapshot to findings and a plan; pure."""
