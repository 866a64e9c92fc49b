"""Cross-entropy of one score per pixel; start with op.py."""
