"""From a posterior to what is shown, and with which propensity. Imports models to choices."""
