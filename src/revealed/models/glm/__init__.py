"""The Bayesian generalised linear model that learns online: links, posteriors, features. Imports evidence, choices."""
