"""How fast the path from agencies' payouts to announced overlaps is, beside what one would otherwise write."""
