"""Embeddings as users have them: one reader of files, one policy of unit lengths, matched pairs and the potentials they imply.

Knows the potentials that problems take, and no statistics.
"""
