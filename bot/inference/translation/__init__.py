"""Translate: which models lead from one language to another, and what makes each kind of model do it."""
