"""Arrays, errors, threads, compiled loops, progress and plain values: what every wing stands on.

Nothing here knows a sphere, an energy or an embedding, and nothing here imports another wing.
"""
