"""What a recording is, how files become recordings, where recordings are kept."""
