"""Make the clients that the settings ask for; only commands, the handler and jobs do so."""
