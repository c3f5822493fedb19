"""What is wrong with the recordings of a store, said and not mended: each check measures, and tells what it measured."""
