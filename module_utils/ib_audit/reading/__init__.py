"""Files, processes and bytes become scripts."""
