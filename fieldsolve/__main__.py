"""python -m fieldsolve: the command line."""

from fieldsolve.cli import main

main()
