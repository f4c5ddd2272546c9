"""What every part needs and no part owns: errors, settings, moments, databases, files, zones, addresses, web pages.

It imports none of the other packages. Each module imports only what it needs, so that a part that needs one of them
does not install the libraries of the others.
"""
