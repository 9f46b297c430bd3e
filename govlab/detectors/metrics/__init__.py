"""Detectors of a number over time, of each entity by itself."""
