"""What the paper proves, as things to compute: batch losses, pair laws, expectations, and studies of its theorems.

Stands on equilibria and embeddings; a study's pictures stand beside it.
"""
