"""Losses that people try against the modality gap: what each is as an energy, from which weight on it helps, and what it costs.

Partners held still (equilibria on grids, stability in any dimension) and partners free to move (encoders) stand side by side:
they are two answers to two questions, and the weights differ. No statistics of embeddings here.
"""
