"""The two heads, the temperature, the loss and the trainer."""
