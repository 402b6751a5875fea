"""What is optimised: losses (terms), the phases that share an optimiser, and what they need beside the model."""
