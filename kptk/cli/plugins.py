"""`kptk plugins`: stands until the helper's version lands."""
import click
@click.group()
def plugins() -> None:
    """Manage plugins."""
