"""Soft Dice loss; start with op.py."""
