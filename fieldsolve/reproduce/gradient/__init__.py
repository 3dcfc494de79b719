"""Experiment D.1: gradients of InfoNCE with N negatives against many, two critics."""
