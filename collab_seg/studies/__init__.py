"""Many runs under one budget, compared."""
