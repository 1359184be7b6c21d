"""What every summary is: sections that show themselves as text, HTML and Markdown. Imports report's own files."""

from __future__ import annotations

from abc import ABC, abstractmethod

from revealed.report.content import Section, Text, Tone
from revealed.report.html import to_html
from revealed.report.markdown import to_markdown
from revealed.report.text import to_text


class Shown(ABC):
    """Something made of sections: ``str()`` of it is plain text, and a notebook shows it as HTML."""

    @abstractmethod
    def sections(self) -> tuple[Section, ...]:
        """Return it as sections of a report."""

    def to_html(self) -> str:
        """Return an HTML fragment; see :func:`revealed.report.html.to_page` for a page."""
        return to_html(self)

    def to_markdown(self) -> str:
        """Return Markdown."""
        return to_markdown(self)

    def __str__(self) -> str:
        return to_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()


def alerts_of(messages: tuple[str, ...], tone: Tone) -> tuple[Text, ...]:
    """Return what must be known before anything is used, a paragraph each."""
    return tuple(Text(message[:1].upper() + message[1:], tone) for message in messages)
