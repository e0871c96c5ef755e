"""What a kind of search must define: its task, its space, its settings and flags."""
