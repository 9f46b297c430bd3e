"""Detectors of a lasting change: of a mean, or of what comes in."""
