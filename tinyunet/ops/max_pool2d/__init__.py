"""Maximum pooling; start with op.py."""
