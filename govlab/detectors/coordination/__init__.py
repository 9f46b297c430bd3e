"""Detectors of who acts on what, and of what is written alike."""
