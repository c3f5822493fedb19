"""vectors -> scores -> metrics -> intervals."""
