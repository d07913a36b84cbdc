"""How people's requests come in besides the console: files with them, codes on machines, e-mail, chat."""
