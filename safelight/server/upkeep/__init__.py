"""Commands for whoever keeps a server: check what is stored, upgrade its data, move it elsewhere."""
