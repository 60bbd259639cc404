"""What was found out about some data, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PASS, WARN, FAIL = "pass", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or strange.

    Args:
        level: ``"fail"`` if training on it would be refused or its figures would mislead, else ``"warn"``.
        subject: what it is about, such as ``"duplicates"`` or a column.
        sentence: what is found, with the figures, and what to do.
    """

    level: str
    subject: str
    sentence: str


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything that is known of some data.

    Args:
        data: what it is, in words.
        inputs: the kind of input.
        rows: how many there are.
        looked: how many of them were looked at.
        facts: figures by name.
        columns: of a table, one dictionary a column.
        classes: rows by class name.
        findings: what is wrong or strange.
        pictures: groups of pictures for the page: a caption and tiles of name and picture.
    """

    data: str
    inputs: str
    rows: int
    looked: int
    facts: dict[str, Any] = field(default_factory=dict)
    columns: list[dict[str, Any]] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    pictures: list[tuple[str, list[tuple[str, Any]]]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``"fail"`` if any finding is one, ``"warn"`` if there are others, else ``"pass"``."""
        levels = {finding.level for finding in self.findings}
        return FAIL if FAIL in levels else WARN if levels else PASS

    def fail(self, subject: str, sentence: str) -> None:
        """Add what makes the data unusable as it is.

        Args:
            subject: what it is about.
            sentence: what is found.
        """
        self.findings.append(Finding(FAIL, subject, sentence))

    def warn(self, subject: str, sentence: str) -> None:
        """Add what one should know.

        Args:
            subject: what it is about.
            sentence: what is found.
        """
        self.findings.append(Finding(WARN, subject, sentence))

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON, without pictures."""
        return {
            "data": self.data,
            "inputs": self.inputs,
            "status": self.status,
            "rows": self.rows,
            "looked": self.looked,
            "facts": self.facts,
            "classes": self.classes,
            "columns": self.columns,
            "findings": [
                {"level": found.level, "subject": found.subject, "sentence": found.sentence} for found in self.findings
            ],
        }
