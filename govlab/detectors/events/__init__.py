"""Detectors of rows with several features, numbers and categories."""
