"""How a training goes: what is planned, its stages, its folder, and the choice of the model that is kept."""
