"""The command line: one verb, one file; heavy imports inside the verb."""
