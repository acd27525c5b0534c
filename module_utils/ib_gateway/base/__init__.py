"""Shapes, words and catalogues that everything else speaks; pure."""
