"""FlowAuth: who may ask what of which server, until when, and who decided it."""
