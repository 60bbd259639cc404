"""Commands, right and wrong."""

import click


@click.command()
@click.option("--loud", is_flag=True, help="Say it louder.")
def goodcommand(loud):
    """Say hello."""
    click.echo("HELLO" if loud else "hello")


def no_command():
    """Not a click command."""


@click.command()
@click.option("--loud", is_flag=True)
def silent(loud):
    """Say nothing of its option."""
