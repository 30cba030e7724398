"""Alignment of EPI and anatomy.

Read align (subject to T1w), t2w (the other image for it) and bbr (its refinement), chain
(run to session to subject), then agreement, which judges all of them.
"""
