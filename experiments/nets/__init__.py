"""`limbeck nets`: the catalogue listed, a net layer by layer, and drawn."""
