"""Carries out the steps of a plan, on exactly what they name."""
