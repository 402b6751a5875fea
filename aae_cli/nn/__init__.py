"""Networks, priors and adversaries, as the paper describes them; several models at once."""
