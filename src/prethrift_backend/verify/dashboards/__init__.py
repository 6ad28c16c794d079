"""The Grafana dashboards of ``ops/grafana``, made from the metrics contract.

- ``model``: what a dashboard is made of, as frozen values, and the label selector of its variables.
- ``families``: panels of one family: title, unit, description and query follow what the contract says of it.
- ``pages``: which panels there are, a module a dashboard; and the families that are on none, each with its reason.
- ``rendering``: those values as Grafana's JSON.
"""
