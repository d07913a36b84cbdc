"""What people and programs see: REST, live hints and the console's pages."""
