"""What closed tickets taught: articles drawn from them, reviewed, found again, cited; and tickets that were alike."""
