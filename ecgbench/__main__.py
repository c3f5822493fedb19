"""`python -m ecgbench`."""

from ecgbench.cli.main import main

if __name__ == "__main__":
    main()
