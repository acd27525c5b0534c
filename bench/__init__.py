"""Measures what the project costs, beside what people use today. `make bench` prints the table."""
