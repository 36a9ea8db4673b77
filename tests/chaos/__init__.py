"""What the system promises, tried against everything that can go wrong. See README.md."""
