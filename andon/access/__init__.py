"""Who people and programs are, and what each of them may do where."""
