"""Stages: what computes on calls, between a source and a sink."""
