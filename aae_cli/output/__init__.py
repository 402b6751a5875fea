"""Write and show results: tables, pictures, progress and cards. Nothing here depends on a model."""
