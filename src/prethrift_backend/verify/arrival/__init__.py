"""Whether what a service shows arrives in Prometheus, and whether its alerts reach somebody."""
