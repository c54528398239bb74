"""The machine image: what an instance that was made from it does at boot, before and beside the tiers."""
