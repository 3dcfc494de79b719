"""Experiment D.3: linear encoders under controlled misalignment, trained and as the large-batch objective has them."""
