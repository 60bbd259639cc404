"""The command line: one module a command group, each imported when it is called."""
