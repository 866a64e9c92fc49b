"""The logistic function; start with op.py."""
