"""The commands of the command line, one module a group. Nothing heavy is imported before a command runs."""
