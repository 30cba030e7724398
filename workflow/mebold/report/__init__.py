"""The pages that answer: is a run usable, which variant, where is the ceiling high, what lacks.

Read folder (what stands in an output folder), plan, status (what is done), quality and verdict,
notes, study (all of it together), answers, gallery (the figures), methods, costs, then pages and
group, which write, and progress.
"""
