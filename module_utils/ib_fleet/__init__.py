"""What tells about a fleet, on the controller: documents, pages, history. Never packed for a host."""
