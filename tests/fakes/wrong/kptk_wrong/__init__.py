"""One mistake after the other, so that each check of the kit can be seen to fail."""
