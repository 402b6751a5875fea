"""Data by name or by path: rows, labels and a schema, whatever the format."""
