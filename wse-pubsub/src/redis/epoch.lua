-- The epoch of all outcomes.
return epoch()
