"""Variants side by side. Read session (the entry), quality, tables, then subjects and text."""
