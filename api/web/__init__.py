"""The console's pages: what they show, how numbers and times read, and how charts are told to the browser."""
