"""Synthetic countries, subscribers and daily deliveries of an operator, with ground truth."""

from flowsynth.delivery import synthesise
from flowsynth.parameters import EVENT_TYPES, Crisis, Summary, SynthesisError

__all__ = ["EVENT_TYPES", "Crisis", "Summary", "SynthesisError", "synthesise"]
