"""The metrics of a diagnosis: of each its definition beside the function that computes it."""
