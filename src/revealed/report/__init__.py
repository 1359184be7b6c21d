"""Results as tables, pictures, pages: what people read. Models know nothing of it. Imports answer to choices.

Whatever can be shown, a :class:`Summary`, an answer, a table or a list of such, goes to :func:`to_text`,
:func:`to_html`, :func:`to_page` or :func:`to_markdown`.
"""

from revealed.report.content import Code, Facts, Picture, Section, Text, sections_of
from revealed.report.html import to_html, to_page
from revealed.report.markdown import to_markdown
from revealed.report.summary import Summary, summarise
from revealed.report.text import to_text

__all__ = [
    "Code",
    "Facts",
    "Picture",
    "Section",
    "Summary",
    "Text",
    "sections_of",
    "summarise",
    "to_html",
    "to_markdown",
    "to_page",
    "to_text",
]
