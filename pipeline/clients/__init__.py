"""Make the clients that the settings ask for; front doors and jobs alone do so."""
