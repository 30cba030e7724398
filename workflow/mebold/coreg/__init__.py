"""Alignment of EPI and anatomy. Read align (the entry), then bbr (its refinement)."""
