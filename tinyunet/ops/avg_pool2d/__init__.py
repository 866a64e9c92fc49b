"""Average pooling; start with op.py."""
