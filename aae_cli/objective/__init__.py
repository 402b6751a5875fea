"""What is optimised: losses (terms), the phases that share an optimiser, and the views and targets that they need."""
