"""What one run found and did, as one document; pure."""
