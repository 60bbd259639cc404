import click
@click.command()
def embed() -> None:
    """embed."""
