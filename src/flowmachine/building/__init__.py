"""From a query to a plan: Ibis expressions over unbound tables, the same for every engine."""
