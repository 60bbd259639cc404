"""Runs the command line: ``kptk`` or ``python -m kptk``."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from kptk.cli.main import cli

    cli(prog_name="kptk")


if __name__ == "__main__":
    main()
