"""A command whose help waits for Keras."""

import click
import keras


@click.command()
def heavy():
    """Say a version."""
    click.echo(keras.__version__)
