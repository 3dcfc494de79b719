"""Experiment D.2: trained particles against the Gibbs field on S^2, and what particles minimise, as a density."""
