"""Tiny models gain nothing from threads, and on a busy machine threads that wait for each other cost much."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
