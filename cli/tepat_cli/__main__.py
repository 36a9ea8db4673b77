"""`python -m tepat_cli`."""

from tepat_cli.app import main

main()
