"""What is wrong in scripts, and in which words. Pure."""
