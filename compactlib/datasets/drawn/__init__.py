"""Data that this project draws, the same pixels on every machine: touching cells, aerial scenes of any size."""
