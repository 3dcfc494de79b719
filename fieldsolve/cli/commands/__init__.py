"""One file a command, named like it; `command` in each is what click runs."""
