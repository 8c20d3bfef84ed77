"""Runs the `[[test]]` tables of a pipeline: without privileges, network or waiting.

Sources give what the test feeds, sinks only take, the clock is virtual; everything between is
the pipeline's own.
"""

from ior.testing.trials.check import findings
from ior.testing.trials.runner import Outcome, run_trial

__all__ = ["Outcome", "findings", "run_trial"]
