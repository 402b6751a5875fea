"""One page on a run, which needs no other file: tables and pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from .browser import TablePanel

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1e1e1e; max-width: 1100px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 22px; } h2 { font-size: 17px; margin-top: 32px; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: #666; font-weight: normal; }
th:first-child, td:first-child { min-width: 230px; }
th, td { padding: 2px 12px 2px 0; vertical-align: top; overflow-wrap: anywhere; } img { max-width: 100%; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing but itself, and no script."""


def report_page(title: str, tables: Sequence[TablePanel], pictures: Sequence[tuple[str, bytes]]) -> bytes:
    """Make the page.

    Args:
        tables: each with its title; text from files may stand anywhere in them.
        pictures: title and PNG of each; they come after the first table.
    """
    first, *rest = [_table(each) for each in tables]
    shown = [_picture(name, png) for name, png in pictures]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style></head>
<body><h1>{escape(title)}</h1>
{"".join([first, *shown, *rest])}</body></html>
""".encode()


def _table(panel: TablePanel) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in panel.header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in panel.rows)
    return f"<h2>{escape(panel.title)}</h2>\n<table>{f'<tr>{head}</tr>' if head else ''}{lines}</table>\n"


def _picture(name: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    return f'<h2>{escape(name)}</h2>\n<img alt="{escape(name)}" src="data:image/png;base64,{source}">\n'
