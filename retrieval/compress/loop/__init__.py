"""The life cycle of a stage: steps, evaluations, what is kept, and resuming exactly."""
