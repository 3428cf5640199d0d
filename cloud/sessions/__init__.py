"""Who is signed in, on the server: a list that can be read and struck out."""
