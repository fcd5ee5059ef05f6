"""Blackboxes: tables of learning curves, and surrogates for what is not in them. The simulator's trials come from them.

Names are imported when first used.
"""
