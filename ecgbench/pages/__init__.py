"""What all HTML pages of ecgbench share."""
