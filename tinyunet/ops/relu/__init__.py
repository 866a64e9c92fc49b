"""The rectifier; start with op.py."""
