"""Reference tables: cells, sites, handset models, boundaries and mappings, and the places settled from them."""
