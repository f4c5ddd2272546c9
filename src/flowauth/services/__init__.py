"""The rules of FlowAuth: pages, JSON API and console call them, and only translate."""
