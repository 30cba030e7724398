"""Variants side by side.

Read session (the entry), variant, predictivity, price, quality, tables, then subjects and text.
"""
