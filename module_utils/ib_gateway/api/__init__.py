"""The API session: its bytes, its dialogue, and what carries them."""
