"""Access to statements that the documentation gives to its readers."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def documented(page: str, *headings: str) -> str:
    """Return the first SQL of a section of a page; of several headings, each lies in the section before it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for heading in headings:
        text = text.partition(f"# {heading}\n")[2]
    return text.partition("```sql\n")[2].partition("```")[0]
