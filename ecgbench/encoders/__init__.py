"""recording -> vector; one file a family. What a card's `entry_point` names is called with `leads`, `samples`, `rate`
and the card's `params`, and maps float32 (batch, leads, samples) to float32 (batch, dim)."""
