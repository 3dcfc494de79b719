"""Statistics of two matched samples in any dimension: values, standard errors, exchanges. Knows neither metrics nor theory."""
