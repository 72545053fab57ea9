"""What is made from the notebooks: copies for students (`student`), decks for a talk (`slides`)."""
