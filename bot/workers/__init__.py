"""The process that computes, both ends of its pipe."""
