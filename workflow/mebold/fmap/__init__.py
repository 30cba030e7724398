"""B0 fields of a session. Read estimate (the entry), gre with phase, pepolar, then session."""
