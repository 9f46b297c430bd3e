"""Judging: a pipeline and labels in, a judgement out."""
