"""Diagrams over one to three parameters: what to solve, a ledger of what is solved, and who solves it."""
