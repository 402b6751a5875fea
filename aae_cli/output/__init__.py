"""What is written and shown: tables, pictures, progress and cards. Nothing here knows a model."""
