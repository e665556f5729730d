"""Choose how finely models compute on the CPU, and make them compute so."""
