"""Small valid files of every format that is read, and what becomes of the readers when such files are damaged."""
