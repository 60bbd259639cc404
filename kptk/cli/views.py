import click
@click.command()
def views() -> None:
    """views."""
