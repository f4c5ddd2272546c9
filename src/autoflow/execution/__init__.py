"""How the notebooks of a run are executed."""
