"""``python -m aae_cli``."""

from .cli import main

main()
