"""One run from request to result file: the only room that knows all the others."""
