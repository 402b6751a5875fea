"""The paper's networks, priors and adversaries, each computed for several models at once."""
