"""Training: its plan and stages, the loop, the run folder, and the choice of the model to keep."""
