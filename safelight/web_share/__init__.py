"""Everything seen in a browser; the pages are built from src/ into dist/."""
