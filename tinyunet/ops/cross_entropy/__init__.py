"""Cross-entropy of class scores; start with op.py."""
